#include "autograd/graph_export.h"

#include <algorithm>
#include <map>
#include <unordered_set>

#include "autograd/node.h"
#include "tensor/error.h"

namespace basin {

namespace {

std::string dot_string(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') {
      out += '\\';
    }
    out += c;
  }
  return out + "\"";
}

// Every node behind root once, in the order in which they were recorded.
std::vector<const Node*> nodes_behind(const Variable& root, std::size_t limit) {
  std::unordered_set<const Node*> seen;
  std::vector<const Node*> pending;
  const auto visit = [&](const Variable& variable) {
    const Node* node = variable.node().get();
    if (node != nullptr && seen.insert(node).second) {
      pending.push_back(node);
      if (seen.size() > limit) {
        fail(
            "[to_graphviz] the graph has more than {} operations; draw a smaller model or a "
            "shorter "
            "sequence, or raise the limit",
            limit);
      }
    }
  };
  visit(root);
  std::vector<const Node*> nodes;
  while (!pending.empty()) {
    const Node* node = pending.back();
    pending.pop_back();
    nodes.push_back(node);
    for (const Variable& input : node->inputs()) {
      visit(input);
    }
  }
  std::sort(nodes.begin(), nodes.end(),
            [](const Node* a, const Node* b) { return a->sequence() < b->sequence(); });
  return nodes;
}

}  // namespace

std::string to_graphviz(const Variable& root,
                        const std::vector<std::pair<std::string, Variable>>& names,
                        std::size_t limit) {
  const std::vector<const Node*> nodes = nodes_behind(root, limit);
  std::map<const Node*, std::size_t> number;
  std::string out =
      "digraph graph_of_operations {\n  rankdir=TB;\n  node [fontname=\"sans-serif\"];\n";
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    number[nodes[n]] = n;
    std::string shapes;
    for (std::size_t result = 0; result < nodes[n]->results(); ++result) {
      shapes += (result == 0 ? "" : ", ") + to_string(nodes[n]->shape(result));
    }
    out += fmt::format(
        "  op{} [shape=box, label={}];\n", n,
        dot_string(fmt::format("{}\n{} {}", nodes[n]->name(), shapes, name_of(nodes[n]->dtype()))));
  }
  std::vector<Variable> leaves;
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    for (const Variable& input : nodes[n]->inputs()) {
      if (!input.requires_grad()) {
        continue;
      }
      if (input.node() != nullptr) {
        out += fmt::format("  op{} -> op{};\n", number[input.node().get()], n);
        continue;
      }
      const auto known = std::find_if(leaves.begin(), leaves.end(),
                                      [&](const Variable& leaf) { return leaf.same_as(input); });
      const auto leaf = static_cast<std::size_t>(known - leaves.begin());
      if (known == leaves.end()) {
        leaves.push_back(input);
        const auto named = std::find_if(names.begin(), names.end(), [&](const auto& entry) {
          return entry.second.same_as(input);
        });
        const std::string label = named != names.end() ? named->first + " " : "";
        out += fmt::format("  leaf{} [shape=ellipse, label={}];\n", leaf,
                           dot_string(label + describe(input.value())));
      }
      out += fmt::format("  leaf{} -> op{};\n", leaf, n);
    }
  }
  return out + "}\n";
}

}  // namespace basin

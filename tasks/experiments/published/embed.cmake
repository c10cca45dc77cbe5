# basin_embed_published(target): the tables of this folder as a source of `target`, made anew whenever
# one of them changes.
set(BASIN_PUBLISHED_FOLDER "${CMAKE_CURRENT_LIST_DIR}")
function(basin_embed_published target)
  file(GLOB tables CONFIGURE_DEPENDS "${BASIN_PUBLISHED_FOLDER}/*.csv")
  set(entries "")
  foreach(table ${tables})
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${table}")
    get_filename_component(name "${table}" NAME_WE)
    file(READ "${table}" text)
    string(APPEND entries "    {\"${name}\", R\"csv(${text})csv\"},\n")
  endforeach()
  set(source "${CMAKE_CURRENT_BINARY_DIR}/published_tables.cpp")
  file(CONFIGURE OUTPUT "${source}" @ONLY CONTENT
"// Made by CMake from tasks/experiments/published/*.csv.
#include \"tasks/experiments/published.h\"

namespace basin::experiments {

const std::vector<PublishedFile>& published_files() {
  static const std::vector<PublishedFile> files = {
@entries@  };
  return files;
}

}  // namespace basin::experiments
")
  target_sources(${target} PRIVATE "${source}")
endfunction()

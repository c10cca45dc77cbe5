"""trainer generate: text from a model, the same for the same seed, and clear words for what cannot be."""

import unittest

from trainer_case import TrainerCase


class Generate(TrainerCase):
    def setUp(self):
        super().setUp()
        self.write("data.txt", "abcdefg" * 300)

    def train_text(self, out="run", backbone="attention", **changes):
        self.train(out, backbone, task="text", data="data.txt", without=["vocabulary"], **changes)

    def generate(self, *words, prompt="abc"):
        return self.succeed("generate", "--checkpoint", "run", "--prompt", prompt, *words)

    def test_it_goes_on_as_it_learned(self):
        self.train_text(width=16, steps=150, learning_rate=0.01)
        text = self.generate("--tokens", "21", "--temperature", "0")
        self.assertEqual(text, "abcdefg" * 3 + "abc\n")

    def test_seeds_and_top_k(self):
        self.train_text(steps=2)
        words = ("--tokens", "30", "--temperature", "2")
        first = self.generate(*words)
        self.assertEqual(self.generate(*words), first)
        self.assertEqual(self.generate(*words, "--threads", "2"), first)
        self.assertNotEqual(self.generate(*words, "--seed", "1"), first)
        self.assertEqual(self.generate(*words, "--top-k", "1"),
                         self.generate("--tokens", "30", "--temperature", "0"))
        self.assertEqual(self.generate("--tokens", "0"), "abc\n")

    def test_precision(self):
        self.train_text(steps=20, learning_rate=0.01, precision="bf16")
        words = ("--tokens", "300")
        as_trained = self.generate(*words)
        self.assertEqual(self.generate(*words, "--precision", "bf16"), as_trained)
        self.assertNotEqual(self.generate(*words, "--precision", "f32"), as_trained)
        self.assert_complains(
            self.run_trainer("generate", "--checkpoint", "run", "--prompt", "a", "--precision",
                             "half"), 2, "--precision", "f32, tf32, bf16")

    def test_a_model_of_another_device(self):
        self.train_text(steps=2, device="simt", length=8)
        self.assertTrue(self.generate("--tokens", "5").startswith("abc"))

    def test_characters(self):
        self.write("data.txt", "äöü" * 500)
        self.train_text(tokenizer="characters", width=16, steps=100, learning_rate=0.01)
        self.assertEqual(self.generate("--tokens", "5", "--temperature", "0", prompt="ä"),
                         "äöüäöü\n")

    def test_other_backbones(self):
        for backbone in ("rnn", "linear-attention", "window-hopfield", "random-masked-hopfield"):
            with self.subTest(backbone):
                self.train_text("run-" + backbone, backbone, steps=1)
                text = self.succeed("generate", "--checkpoint", "run-" + backbone, "--prompt", "a",
                                    "--tokens", "20")
                self.assertTrue(text.startswith("a"))

    def test_what_cannot_be(self):
        self.train("copying")
        self.assert_complains(self.run_trainer("generate", "--checkpoint", "copying", "--prompt",
                                               "a"), 1, "copying", "no text", "--task text")
        self.train_text(steps=1)
        for words, parts in [
                (("--prompt", ""), ["--prompt"]),
                ((), ["--prompt"]),
                (("--prompt", "a", "--temperature", "-1"), ["--temperature", "-1"]),
                (("--prompt", "a", "--top-k", "x"), ["--top-k", "x"]),
                (("--prompt", "a", "--tokns", "4"), ["--tokns", "--tokens"])]:
            with self.subTest(words):
                self.assert_complains(
                    self.run_trainer("generate", "--checkpoint", "run", *words), 2, *parts)
        self.assert_complains(self.run_trainer("generate", "--checkpoint", "nowhere", "--prompt",
                                               "a"), 1, "nowhere")


if __name__ == "__main__":
    unittest.main()

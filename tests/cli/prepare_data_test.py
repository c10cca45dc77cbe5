"""prepare_data: a tokenizer is trained, turns text into ids and back, and mistakes are one line."""

import os
import subprocess
import tempfile
import unittest

PREPARE_DATA = os.environ["PREPARE_DATA"]
TEXT = ("the cat sat on the mat, the rat sat on the cat. " * 40).encode() + b"\xff\xfe caf\xc3\xa9\n"


class PrepareData(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = holder.name
        self.text = self.path("text.txt")
        with open(self.text, "wb") as file:
            file.write(TEXT)

    def path(self, name):
        return os.path.join(self.folder, name)

    def run_program(self, *words):
        return subprocess.run([PREPARE_DATA, *words], capture_output=True, timeout=120)

    def complains(self, words, status, *parts):
        done = self.run_program(*words)
        message = done.stderr.decode()
        self.assertEqual(done.returncode, status, message)
        self.assertEqual(message.count("\n"), 1, message)
        for part in parts:
            self.assertIn(part, message)

    def test_a_text_survives_training_encoding_and_decoding(self):
        for kind, vocabulary in [("gpt2", ["--vocabulary", "300"]), ("characters", [])]:
            with self.subTest(kind):
                out = self.path(kind)
                done = self.run_program("tokenizer", "train", "--kind", kind, "--input", self.text,
                                        "--out", out, *vocabulary)
                self.assertEqual(done.returncode, 0, done.stderr)
                ids, again = self.path(kind + ".ids"), self.path(kind + ".txt")
                common = ["--kind", kind, "--tokenizer", out]
                for command, source, target in [("encode", self.text, ids), ("decode", ids, again)]:
                    done = self.run_program("tokenizer", command, *common, "--input", source,
                                            "--out", target)
                    self.assertEqual(done.returncode, 0, done.stderr)
                with open(again, "rb") as file:
                    self.assertEqual(file.read(), TEXT)
                with open(ids, "rb") as file:
                    count = len(file.read().split())
                self.assertLess(count, len(TEXT))

    def test_wrong_usage(self):
        self.complains(["tokenizer", "trian"], 2, "'tokenizer trian'", "'tokenizer train'")
        self.complains(["tokenizer", "train", "--out", self.path("x")], 2, "--input")
        self.complains(["tokenizer", "encode", "--kind", "gtp2"], 2, "gtp2", "gpt2")

    def test_failures(self):
        missing = self.path("missing.txt")
        self.complains(["tokenizer", "train", "--input", missing, "--vocabulary", "300", "--out",
                        self.path("x")], 1, missing)
        self.complains(["tokenizer", "encode", "--tokenizer", self.path("none"), "--input",
                        self.text], 1, "none")


if __name__ == "__main__":
    unittest.main()

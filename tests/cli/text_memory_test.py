"""Text of any size is trained on in bounded memory. MEGABYTES says how much text there is; with 1000
this takes minutes and is labelled slow. Memory is what the process has of its own (RssAnon): pages
of mapped files belong to the system, which takes them back when it needs room."""

import gzip
import os
import random
import shutil
import subprocess
import time
import unittest

from trainer_case import TINY, TRAINER, TrainerCase, options

MEGABYTES = int(os.environ.get("MEGABYTES", "48"))
PREPARE_DATA = os.environ.get("PREPARE_DATA", "")
DATA = os.environ.get("BASIN_DATA", "")
# Buffers of pieces and the like. The text itself would be three times as much at least.
MOST_MORE = 16e6


def is_sanitized():
    # A sanitizer keeps freed memory, to notice who uses it.
    with open(TRAINER, "rb") as file:
        return b"__asan_init" in file.read()


@unittest.skipIf(is_sanitized(), "a sanitizer needs memory of its own")
class Memory(TrainerCase):
    def write_text(self, name, size, packed=False):
        """Words in a random order that is another one in every part of the text."""
        source = random.Random(1)
        words = [source.choice("bcdfglmnprst") + source.choice("aeiou") + str(n) * (n % 7 == 0)
                 for n in range(2000)]
        part = " ".join(source.choice(words) for _ in range(100000))
        opened = gzip.open(self.path(name), "wt", compresslevel=1) if packed else open(
            self.path(name), "w")
        with opened as file:
            written = 0
            while written < size:
                cut = source.randrange(len(part))
                written += file.write(f"{part[cut:]}\n{written}\n{part[:cut]}")
        return name

    def most_memory(self, out, **settings):
        """The most memory of its own that a training had, in bytes."""
        settings = {**TINY, "task": "text", "backbone": "attention", "length": 64, **settings}
        del settings["vocabulary"]
        settings = {name.replace("_", "-"): value for name, value in settings.items()}
        process = subprocess.Popen([TRAINER, "train", *options(settings), "--out", out, "--quiet"],
                                   cwd=self.folder, env=self.environment, stderr=subprocess.PIPE)
        most = 0
        while process.poll() is None:
            with open(f"/proc/{process.pid}/status") as file:
                for line in file:
                    if line.startswith("RssAnon:"):
                        most = max(most, int(line.split()[1]) * 1024)
            time.sleep(0.002)
        error = process.stderr.read().decode()
        process.stderr.close()
        self.assertEqual(process.returncode, 0, error)
        self.assertGreater(most, 0)
        return most

    def check(self, small, large, **settings):
        little = self.most_memory("run-small", data=small, **settings)
        much = self.most_memory("run-large", data=large, **settings)
        self.assertLess(much, little + MOST_MORE, f"{settings}: {little} and {much} bytes")
        self.assertLess(much, 300e6)
        digest = self.summary("run-large")["configuration"]["data-digest"]
        self.assertGreaterEqual(int(digest.split(",")[1].split("-")[0]), MEGABYTES * 10**6)
        for out in ("run-small", "run-large"):
            shutil.rmtree(self.path(out))

    def test_a_large_text(self):
        small = self.write_text("small", 100000)
        large = self.write_text("large", MEGABYTES * 10**6)
        subprocess.run([PREPARE_DATA, "tokenizer", "train", "--input", self.path(small), "--out",
                        self.path("tokenizer"), "--vocabulary", "600"], check=True,
                       capture_output=True)
        self.environment["TMPDIR"] = self.folder
        for settings in ({}, {"stride": 1}, {"tokenizer": "characters"},
                         {"tokenizer": "tokenizer"}):
            with self.subTest(settings):
                self.check(small, large, **settings)
        names = sorted(os.listdir(self.folder))
        self.assertEqual(names, ["large", "small", "tokenizer"], "a temporary file is left")

    def test_a_large_packed_text(self):
        small = self.write_text("small.gz", 100000, packed=True)
        self.check(small, self.write_text("large.gz", MEGABYTES * 10**6, packed=True))

    @unittest.skipUnless(os.path.isdir(os.path.join(DATA, "gpt2-bpe")), "needs BASIN_DATA")
    def test_a_large_text_with_the_tokens_of_gpt2(self):
        self.environment["BASIN_DATA"] = DATA
        large = self.write_text("large", MEGABYTES * 10**6)
        small = self.write_text("small", 300000)
        self.check(small, large, tokenizer="gpt2", steps=2 if MEGABYTES < 1000 else 20, width=8,
                   batch=1)


if __name__ == "__main__":
    unittest.main()

"""`trainer reproduce`: what it writes, that nothing finished is lost however it ends, that what is drawn
again is not computed again, and what is refused."""

import csv
import os
import random
import re
import signal
import subprocess
import time
import unittest
import zlib
from html.parser import HTMLParser
from xml.etree import ElementTree

from trainer_case import HAS_GNUPLOT, TRAINER, TrainerCase

# Of many parts, without data, in a third of a second.
NAME = "modern-capacity"
OTHER = "classical-retrieval"
# Long enough that a signal meets it in the middle.
LONG = "classical-capacity"
SMOKE = ("--size", "smoke", "--threads", "1")


class ClosedTags(HTMLParser):
    """Complains about an element that is not closed, or closed by another."""

    def __init__(self):
        super().__init__()
        self.open, self.mistakes = [], []

    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.mistakes.append(self.getpos())


class ReproduceCase(TrainerCase):
    def assert_page(self, page):
        parser = ClosedTags()
        parser.feed(page)
        self.assertEqual((parser.open, parser.mistakes), ([], []))
        self.assertNotIn("<script", page)
        self.assertIsNone(re.search(r'(src|href)="(https?:)?//', page))

    def reproduce(self, out, *words, name=NAME):
        return self.succeed("reproduce", name, *SMOKE, "--out", out, *words)

    def start(self, out, *words, name=NAME):
        process = subprocess.Popen([TRAINER, "reproduce", name, *SMOKE, "--out", out, *words],
                                   cwd=self.folder, env=self.environment, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        return process

    def results(self, out, name=NAME):
        """What must not depend on how often the work was stopped: tables, scripts, and the report but
        for its last section."""
        files = {}
        for file in sorted(os.listdir(self.path(out))):
            content = self.read(out, file)
            if file.endswith(".md"):
                files[file] = content.split(b"\n## The run\n")[0]
            elif file.endswith((".csv", ".gp", ".svg")) and not file.endswith("_seconds.csv"):
                files[file] = content
        return files

    def parts(self, out, name=NAME):
        """The keys in the journal, in order."""
        return re.findall(rb'^[0-9a-f]{8} {"key":"([^"]+)"', self.read(out, f"{name}.journal"),
                          re.MULTILINE)


class Results(ReproduceCase):
    def test_list(self):
        text = self.succeed("list", "experiments")
        self.assertIn(f"  {NAME} ", text)
        self.assertIn("after: ", text)

    def test_files_and_text(self):
        text = self.reproduce("out")
        self.assertIn("published: ", text)
        self.assertRegex(text, rf"{NAME}: \d+ parts, \d+:\d\d; wrote out/{NAME}.html and \d+ more")
        self.assertIn("pictures are missing: gnuplot is not installed", text)
        with open(self.path("out", f"{NAME}.csv"), newline="") as file:
            rows = list(csv.reader(file))
        self.assertGreater(len(rows), 1)
        self.assertEqual({len(row) for row in rows}, {len(rows[0])})
        page = self.read("out", f"{NAME}.html").decode()
        report = self.read("out", f"{NAME}.md").decode()
        version = self.succeed("--version").split()[-1]
        for content in (page, report):
            self.assertIn(f"version {version}", content)
            self.assertIn("gnuplot is not installed", content)
            self.assertIn("smoke", content)
        self.assert_page(page)
        with open(self.path("out", f"{NAME}_seconds.csv"), newline="") as file:
            seconds = list(csv.DictReader(file))
        self.assertEqual({row["part"] for row in seconds},
                         {key.decode() for key in self.parts("out")})

    @unittest.skipUnless(HAS_GNUPLOT, "gnuplot is not installed")
    def test_pictures(self):
        self.environment["PATH"] = self.path_with_gnuplot
        self.assertNotIn("pictures are missing", self.reproduce("out"))
        pictures = [name for name in os.listdir(self.path("out")) if name.endswith(".svg")]
        self.assertGreater(len(pictures), 0)
        page = self.read("out", f"{NAME}.html").decode()
        self.assertEqual(page.count('<img src="data:image/svg+xml;base64,'), len(pictures))
        for picture in pictures:
            self.assertTrue(ElementTree.fromstring(self.read("out", picture)).tag.endswith("svg"))
            self.assertEqual(self.read("out", picture[:-4] + ".png")[:8], b"\x89PNG\r\n\x1a\n")
            self.assertIn(picture, self.read("out", f"{NAME}.md").decode())

    def test_same_results_for_any_threads_and_folder(self):
        self.reproduce("one")
        self.succeed("reproduce", NAME, "--size", "smoke", "--threads", "3", "--out", "other/three")
        self.assertEqual(self.results("one"), self.results("other/three"))

    def test_seed_changes_results(self):
        self.reproduce("zero")
        self.reproduce("seven", "--seed", "7")
        self.assertNotEqual(self.read("zero", f"{NAME}.csv"), self.read("seven", f"{NAME}.csv"))

    def test_quiet(self):
        self.assertEqual(self.reproduce("out", "--quiet"), "")


class GoingOn(ReproduceCase):
    def test_a_finished_one_is_drawn_again_without_computing(self):
        self.reproduce("out")
        before = self.results("out")
        journal = self.read("out", f"{NAME}.journal")
        os.remove(self.path("out", f"{NAME}.csv"))
        # Settings that are left out are those of the journal.
        text = self.succeed("reproduce", NAME, "--out", "out")
        self.assertRegex(text, r"all \d+ parts were computed before; nothing is computed")
        self.assertEqual(self.results("out"), before)
        self.assertEqual(self.read("out", f"{NAME}.journal"), journal)

    def test_overwrite_computes_again(self):
        self.reproduce("out", "--seed", "1")
        text = self.reproduce("out", "--seed", "2", "--overwrite")
        self.assertNotIn("computed before", text)
        self.reproduce("fresh", "--seed", "2")
        self.assertEqual(self.results("out"), self.results("fresh"))

    def test_killed_at_any_moment(self):
        started = time.monotonic()
        self.reproduce("whole")
        duration = time.monotonic() - started
        expected = self.results("whole")
        draw = random.Random(5)
        kills = 0
        for attempt in range(12):
            process = self.start("killed")
            try:
                process.wait(draw.uniform(0.0, 0.6 * duration))
            except subprocess.TimeoutExpired:
                process.kill()
            if process.wait() == -signal.SIGKILL:
                kills += 1
        self.assertGreater(kills, 0)
        self.reproduce("killed")
        self.assertEqual(self.results("killed"), expected)
        keys = self.parts("killed")
        self.assertEqual(len(keys), len(set(keys)))
        self.assertEqual(sorted(keys), sorted(self.parts("whole")))

    def test_every_prefix_of_a_journal_goes_on(self):
        self.reproduce("whole")
        expected = self.results("whole")
        journal = self.read("whole", f"{NAME}.journal")
        os.mkdir(self.path("cut"))
        draw = random.Random(6)
        first_line = journal.index(b"\n") + 1
        for size in [first_line, len(journal) - 1] + [
                draw.randrange(first_line, len(journal)) for _ in range(4)]:
            self.write(f"cut/{NAME}.journal", journal[:size])
            text = self.reproduce("cut")
            self.assertEqual("journal is torn" in text, journal[size - 1:size] != b"\n", size)
            self.assertEqual(self.results("cut"), expected, size)

    def interrupted(self, number):
        process = self.start("stopped", name=LONG)
        journal = self.path("stopped", f"{LONG}.journal")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            if os.path.exists(journal) and len(self.parts("stopped", LONG)) > 0:
                process.send_signal(number)
                break
            time.sleep(0.002)
        process.wait(60)
        return process

    def test_interrupted(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            process = self.interrupted(number)
            if process.returncode == 1:
                break
            self.assertEqual(process.returncode, 0)  # it was faster
            self.succeed("reproduce", LONG, *SMOKE, "--out", "stopped", "--overwrite", "--quiet")
            os.remove(self.path("stopped", f"{LONG}.journal"))
        self.assertEqual(process.returncode, 1)
        error = process.stderr.read().decode()
        self.assertRegex(error, r"\Atrainer: interrupted; \d+ of \d+ parts of [^\n]* are kept; go on "
                                r"with: trainer reproduce [^\n]*\n\Z")
        words = error.split("go on with: trainer ")[1].split()
        text = self.succeed(*words)
        self.assertRegex(text, r"\d+ of \d+ parts were computed before")
        self.reproduce("whole", name=LONG)
        self.assertEqual(self.results("stopped"), self.results("whole"))
        # Both sittings are told.
        self.assertIn(b"session 2", self.read("stopped", f"{LONG}.md"))

    def test_results_of_another_version(self):
        self.reproduce("out")
        lines = self.read("out", f"{NAME}.journal").decode().splitlines()
        for number, line in enumerate(lines):
            text = re.sub(r'"version":"[^"]*"', '"version":"0.0.0-old"', line[9:])
            lines[number] = f"{zlib.crc32(text.encode()):08x} {text}"
        self.write(f"out/{NAME}.journal", "\n".join(lines) + "\n")
        self.reproduce("out")
        for file in ("md", "html"):
            self.assertRegex(self.read("out", f"{NAME}.{file}").decode(),
                             "results were computed by version 0.0.0-old.*; version .* wrote this")


class Several(ReproduceCase):
    def test_two_and_their_index(self):
        text = self.succeed("reproduce", NAME, OTHER, NAME, *SMOKE, "--out", "out")
        self.assertIn("wrote out/index.html", text)
        page = self.read("out", "index.html").decode()
        self.assert_page(page)
        table = self.read("out", "index.md").decode()
        for name in (NAME, OTHER):
            self.assertIn(f'<a href="{name}.html">{name}</a>', page)
            self.assertIn(f"[{name}]({name}.md)", table)
            self.reproduce("single", name=name)
        single, both = self.results("single"), self.results("out")
        del both["index.md"]
        self.assertEqual(single, both)
        self.assertRegex(table, r"\d+ claims")

    def test_a_damaged_journal_is_told_before_anything_is_computed(self):
        self.reproduce("out", name=OTHER)
        journal = self.read("out", f"{OTHER}.journal")
        self.write(f"out/{OTHER}.journal", journal.replace(b'"result"', b'"rezult"'))
        process = self.run_trainer("reproduce", OTHER, NAME, *SMOKE, "--out", "out")
        self.assert_complains(process, 1, "is damaged in line 3", "--overwrite")
        self.assertFalse(os.path.exists(self.path("out", f"{NAME}.journal")))

    def test_missing_data(self):
        reading = re.findall(r"^  (\S+) .*\n +after: .*; needs data: \S+",
                             self.succeed("list", "experiments"), re.MULTILINE)
        if not reading:
            self.skipTest("no experiment reads data")
        name = reading[0]
        os.mkdir(self.path("empty"))
        for words in ((), ("--data", "empty")):
            process = self.run_trainer("reproduce", name, *SMOKE, "--out", "out", *words)
            self.assert_complains(process, 1)
            self.assertFalse(os.path.exists(self.path("out", f"{name}.journal")))
        self.assertIn(self.path("empty"), process.err)
        # Beside others it is left out.
        process = self.run_trainer("reproduce", name, NAME, *SMOKE, "--out", "out", "--data", "empty")
        self.assert_complains(process, 1, "1 of 2 experiments could not be done", name)
        self.assertIn(f"{name}: LEFT OUT: ", process.out)
        # Known before anything was computed.
        self.assertLess(process.out.index("LEFT OUT"), process.out.index(f"{NAME}: "))
        self.assertTrue(os.path.exists(self.path("out", f"{NAME}.html")))
        for file in ("index.md", "index.html"):
            self.assertIn("1 of 2 experiments were left out", self.read("out", file).decode())
        process = self.run_trainer("reproduce", name, *SMOKE, "--out", "out", "--data", "nowhere")
        self.assert_complains(process, 1, "--data nowhere", "no such folder")


class Refused(ReproduceCase):
    def test_usage(self):
        for words, parts in (
            ((), ["the name of an experiment is missing"]),
            (("modern-capacty", "--out", "o"), ["'modern-capacty'", NAME]),
            ((NAME,), ["--out is missing"]),
            ((NAME, "--out", "o", "--size", "shrt"), ["--size", "'shrt'", "short"]),
            ((NAME, "--out", "o", "--protocol", "x"), ["--protocol"]),
            ((NAME, "--out", "o", "--seed", "-1"), ["--seed"]),
            ((NAME, "--out", "o", "--threads", "0"), ["--threads"]),
            ((NAME, "--out", "o", "--device", "gpu"), ["--device", "'gpu'"]),
            ((NAME, "--out", "o", "--sise", "smoke"), ["--sise", "--size"]),
            ((NAME, "--out", "o", "--data", "."), ["--data would have no effect"]),
            ((NAME, "--out", "o", "--device", "simt"), ["--device simt would have no effect"]),
        ):
            process = self.run_trainer("reproduce", *words)
            self.assert_complains(process, 2, *parts)
            self.assertFalse(os.path.exists(self.path("o")), words)
        self.assertIn("exit status is 1", self.succeed("reproduce", "--help"))

    def test_other_settings_than_those_in_the_folder(self):
        self.reproduce("out", "--seed", "3")
        before = self.results("out")
        for words, parts in (
            (("--size", "short"), ["--size short contradicts", "size smoke"]),
            (("--seed", "4"), ["--seed 4 contradicts", "seed 3"]),
        ):
            process = self.run_trainer("reproduce", NAME, "--out", "out", *words)
            self.assert_complains(process, 2, f"out/{NAME}.journal", "--overwrite", *parts)
        self.assertEqual(self.results("out"), before)

    def test_a_damaged_journal(self):
        self.reproduce("out")
        journal = bytearray(self.read("out", f"{NAME}.journal"))
        journal[journal.index(b'"key"') + 8] ^= 1
        self.write(f"out/{NAME}.journal", bytes(journal))
        process = self.run_trainer("reproduce", NAME, *SMOKE, "--out", "out")
        self.assert_complains(process, 1, f"out/{NAME}.journal", "damaged in line 3", "--overwrite")
        self.reproduce("out", "--overwrite")

    def test_the_journal_of_another_experiment(self):
        self.reproduce("out")
        os.rename(self.path("out", f"{NAME}.journal"), self.path("out", f"{OTHER}.journal"))
        process = self.run_trainer("reproduce", OTHER, *SMOKE, "--out", "out")
        self.assert_complains(process, 1, f"is the journal of '{NAME}'")

    def test_folders_that_cannot_be_used(self):
        self.write("file", "x")
        process = self.run_trainer("reproduce", NAME, *SMOKE, "--out", "file")
        self.assert_complains(process, 1, "the output folder file cannot be used")
        os.mkdir(self.path("locked"))
        os.chmod(self.path("locked"), 0o555)
        process = self.run_trainer("reproduce", NAME, *SMOKE, "--out", "locked", **self.without_rights())
        self.assert_complains(process, 1, "locked", "Permission denied")
        self.assertEqual(os.listdir(self.path("locked")), [])


if __name__ == "__main__":
    unittest.main()

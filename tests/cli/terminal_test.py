"""The progress bar, on a terminal that the test pretends to be."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import unittest

from trainer_case import TINY, TRAINER, TrainerCase, options


class Terminal(TrainerCase):
    def train_on_terminal(self, columns, *words, **environment):
        """All that reaches a terminal of this width."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        settings = {**TINY, "backbone": "attention", "steps": 2000, "width": 32}
        process = subprocess.Popen([TRAINER, "train", *options(settings), "--out", "run",
                                    "--overwrite", *words], cwd=self.folder, stdout=slave,
                                   stderr=subprocess.PIPE,
                                   env={**self.environment, "TERM": "xterm", **environment})
        os.close(slave)
        text = b""
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:  # Linux says so when the other side is closed
                break
            if not piece:
                break
            text += piece
        os.close(master)
        error = process.stderr.read()
        process.stderr.close()
        self.assertEqual(process.wait(), 0, error)
        return text.decode().replace("\r\n", "\n")

    def bars(self, text):
        return [line for line in re.findall(r"\r([^\r\n\x1b]*)\x1b\[K", text) if line]

    def test_one_line_with_everything_in_it(self):
        text = self.train_on_terminal(140)
        bars = self.bars(text)
        self.assertTrue(bars)
        full = [bar for bar in bars if "left" in bar]
        self.assertTrue(full, bars)
        self.assertRegex(full[-1], r"^\[#*\.*\] \d+/2000  loss \d+\.\d+  second-half token accuracy "
                                   r"\d\.\d+  [\d.]+k? tokens/s  \d+:\d\d left$")
        # At the end the line is erased and the figures follow; no line per interval was printed.
        self.assertNotIn("step 20/2000", text)
        self.assertRegex(text.split("\x1b[K")[-1], r"\n?test +model +chance")

    def test_no_line_is_wider_than_the_terminal(self):
        for columns in (200, 80, 40, 12):
            bars = self.bars(self.train_on_terminal(columns))
            self.assertTrue(bars)
            for bar in bars:
                self.assertTrue(len(bar) < columns, bar)

    def test_quiet_and_simple_terminals(self):
        self.assertEqual(self.train_on_terminal(80, "--quiet"), "")
        text = self.train_on_terminal(80, TERM="dumb")
        self.assertNotIn("\x1b", text)
        self.assertIn("step 20/2000", text)


if __name__ == "__main__":
    unittest.main()

"""Headless Chromium over its DevTools protocol, by a pipe: `python -m tests.browser PAGE.html SHOT.png`.

https://chromedevtools.github.io/devtools-protocol; only the browser is needed, no driver.
"""

import argparse
import base64
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--remote-debugging-pipe",
)
# The characters of a key, which make a page act on it.
_CODES = {"Tab": 9, "Enter": 13, " ": 32, "ArrowLeft": 37, "ArrowRight": 39, "ArrowDown": 40, "Home": 36}


class Browser:
    """A page in a browser.

    Args:
        url: What to open.
        width: Of the window, in pixels.
        dark: Whether the reader prefers dark pages.

    Attributes:
        errors: What the page wrote to the console as an error, and its exceptions.
    """

    def __init__(self, url, width=1280, height=900, dark=False):
        self.errors, self._number = [], 0
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        (theirs_in, self._out), (self._in, theirs_out) = os.pipe(), os.pipe()

        def connect():  # The protocol's pipe is at the numbers 3 and 4.
            for source, number in ((os.dup(theirs_in), 3), (os.dup(theirs_out), 4)):
                os.dup2(source, number)

        command = [CHROMIUM, *FLAGS, f"--user-data-dir={self._profile.name}", "about:blank"]
        self._process = subprocess.Popen(
            command, preexec_fn=connect, close_fds=False, stderr=subprocess.DEVNULL
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._buffer, self._session = b"", None
        target = self._first_page()
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")
        self.resize(width, height)
        self.prefer("dark" if dark else "light")
        self.send("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._process.kill()
        self._process.wait()
        os.close(self._out)
        os.close(self._in)
        self._profile.cleanup()

    def send(self, method, **parameters):
        """Sends a command of the protocol; returns its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self._number:
            self._note(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def run(self, expression):
        """Returns the value of a JavaScript expression."""
        found = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"]["exception"].get("description"))
        return found["result"].get("value")

    def wait(self, condition):
        """Waits until a JavaScript expression is true."""
        while not self.run(f"!!({condition})"):
            self.run("new Promise((done) => setTimeout(done, 20))")

    def press(self, key, times=1):
        """Presses a key, as `KeyboardEvent.key` names it."""
        for _ in range(times):
            text = {"text": "\r" if key == "Enter" else key} if key in ("Enter", " ") else {}
            code = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": _CODES[key]}
            self.send("Input.dispatchKeyEvent", type="keyDown", **code, **text)
            self.send("Input.dispatchKeyEvent", type="keyUp", **code)

    def resize(self, width, height=900):
        """Gives the window a size in pixels."""
        mobile = {"deviceScaleFactor": 1, "mobile": False}
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, **mobile)

    def prefer(self, scheme):
        """Sets what the reader prefers: "light" or "dark"."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.send("Emulation.setEmulatedMedia", features=[feature])

    def names(self):
        """Returns (role, name) of everything in the accessibility tree that can be used."""
        nodes = self.send("Accessibility.getFullAXTree")["nodes"]
        return [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in nodes
            if not node.get("ignored")
        ]

    def shot(self, path, full=False):
        """Writes what the window shows, or the whole page, as PNG."""
        image = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=full)
        Path(path).write_bytes(base64.b64decode(image["data"]))

    def _first_page(self):
        while True:
            for target in self.send("Target.getTargets")["targetInfos"]:
                if target["type"] == "page":
                    return target["targetId"]

    def _read(self):
        while b"\0" not in self._buffer:
            if not (more := os.read(self._in, 1 << 20)):
                raise RuntimeError("the browser has ended")
            self._buffer += more
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)

    def _note(self, event):
        parameters = event.get("params", {})
        kind = parameters.get("type")
        if event["method"] == "Runtime.exceptionThrown":
            self.errors.append(parameters["exceptionDetails"]["text"])
        elif event["method"] == "Runtime.consoleAPICalled" and kind in ("error", "warning"):
            self.errors.append(str(parameters["args"]))
        elif event["method"] == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.errors.append(parameters["entry"]["text"])


def main():
    parser = argparse.ArgumentParser(description="Draws a page as a browser shows it.")
    parser.add_argument("page", help="HTML file")
    parser.add_argument("image", help="PNG to write")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=900)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--at", help="selector of what to scroll to")
    arguments = parser.parse_args()
    url = Path(arguments.page).resolve().as_uri()
    with Browser(url, arguments.width, arguments.height, arguments.dark) as browser:
        if arguments.at:
            browser.run(f"document.querySelector({json.dumps(arguments.at)}).scrollIntoView(true)")
        browser.run("new Promise((done) => setTimeout(done, 500))")
        browser.shot(arguments.image)
        print("\n".join(browser.errors) or "no errors on the console")


if __name__ == "__main__":
    main()

"""A headless Chromium for tests: open a page, run a script in it, and see what it says and what the console said."""

import json
import re
import shutil
import subprocess
import urllib.parse

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
]


def run(folder, *arguments):
    """Start the browser with a profile of its own in the folder."""
    assert BROWSER, "no Chromium here; install Debian's package chromium to run this test"
    command = [BROWSER, *FLAGS, f"--user-data-dir={folder / 'profile'}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def visit(page, folder, script, *arguments):
    """What an async function's body returns when it runs in the page, and the lines of the console.

    The copy that is opened differs from the page by this script alone, at the end of its body.
    """
    tail = (
        f"<script>(async () => {{ {script} }})().catch((error) => `failed: ${{error}}`).then((said) => {{ "
        "const holder = document.createElement('pre'); holder.id = 'said'; "
        "holder.textContent = encodeURIComponent(JSON.stringify(said)); document.body.append(holder); });</script>"
    )
    copy = folder / "visited.html"
    copy.write_text(page.read_text().replace("</body>", tail + "</body>"))
    done = run(folder, "--virtual-time-budget=60000", *arguments, "--dump-dom", copy.as_uri())
    found = re.search(r'<pre id="said">([^<]*)</pre>', done.stdout)
    assert found, f"the script did not end: {done.stderr[-2000:]}"
    return json.loads(urllib.parse.unquote(found[1])), re.findall(r"CONSOLE.*", done.stderr)

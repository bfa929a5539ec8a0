"""Records the clips listed for WebKit in clips.json with WebKitGTK, whose mock microphone beeps.

python3 webkit.py PAGE_URL OUT_FOLDER DRIVER_PORT
"""

import base64
import glob
import json
import pathlib
import sys
import urllib.request

page_url, out, port = sys.argv[1:]
here = pathlib.Path(__file__).parent
browser = glob.glob("/usr/lib/*/webkit2gtk-4.1/MiniBrowser")[0]


def call(method, path, body=None):
    """One WebDriver command; its value."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)["value"]


arguments = [
    "--automation",
    "--enable-media-stream=true",
    "--enable-mock-capture-devices=true",
    "--autoplay-policy=allow",
]
options = {"binary": browser, "args": arguments}
wanted = {"capabilities": {"alwaysMatch": {"webkitgtk:browserOptions": options}}}
session = "/session/" + call("POST", "/session", wanted)["sessionId"]
call("POST", f"{session}/timeouts", {"script": 110_000})
call("POST", f"{session}/url", {"url": page_url})
script = """
const [clips, done] = arguments;
const names = Object.keys(clips);
Promise.all(names.map((name) => record(clips[name]).catch((error) => ({type: String(error)}))))
  .then((results) => done(Object.fromEntries(names.map((name, at) => [name, results[at]]))));
"""
clips = json.loads((here / "clips.json").read_text())["webkit"]
recorded = call("POST", f"{session}/execute/async", {"script": script, "args": [clips]})
for name, clip in recorded.items():
    data = base64.b64decode(clip.get("base64", ""))
    print(f"webkit-{name}: {len(data)} bytes, {clip['type']}")
    if data:
        pathlib.Path(out, f"webkit-{name}").write_bytes(data)
call("DELETE", session)

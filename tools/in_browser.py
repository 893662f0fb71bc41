"A real browser, and the live page on a server of this machine, for the tests, the pictures and the benchmark."
import json,re,shutil,threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler,ThreadingHTTPServer
from pathlib import Path

notebooks = Path(__file__).parent.parent/'nbs'
frame = '''<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Explore by hand</title><link rel="icon" href="data:,">
<style>
  body {{ font-family: sans-serif; max-width: 50rem; margin: 1rem auto; padding: 0 1rem; }}
  @media (prefers-color-scheme: dark) {{ body {{ background: #222; color: #eee; }} }}
</style></head>
<body><h1>Explore by hand</h1>{content}</body></html>'''

def find_chromium():
    "The path of an installed Chromium or Chrome, or None."
    found = (shutil.which(o) for o in ('chromium', 'chromium-browser', 'google-chrome'))
    return next(filter(None, found), None)

@contextmanager
def open_browser(): # context manager; gives Playwright's `Browser`
    "Chromium without a window."
    from playwright.sync_api import sync_playwright
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=find_chromium(), args=['--no-sandbox', '--disable-gpu'])
        try: yield browser
        finally: browser.close()

def live_html():
    "The HTML that the notebook of the live page contains, in a page of its own, in the light or dark colours that the reader prefers."
    cells = json.loads((notebooks/'explore.ipynb').read_text(encoding='utf-8'))['cells']
    found = [o for cell in cells for o in re.findall(r'```\{=html\}\n(.*?)```', ''.join(cell['source']), re.DOTALL)]
    return frame.format(content=''.join(found))

class _Handler(SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.path != '/explore.html': return super().do_GET()
        content = live_html().encode()
        self.send_response(200)
        self.send_header('Content-Type', 'text/html; charset=utf-8')
        self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args): pass

@contextmanager
def serve_live_page(): # context manager; gives the address
    "The live page with its files, on a server that only this machine can reach."
    with ThreadingHTTPServer(('127.0.0.1', 0), partial(_Handler, directory=str(notebooks))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try: yield f'http://127.0.0.1:{server.server_port}/explore.html'
        finally: server.shutdown()

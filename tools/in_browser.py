"A real browser, and the live page and JupyterLab on servers of this machine, for the tests, the pictures and the benchmark."
import gzip,json,os,re,shutil,socket,subprocess,sys,threading,time
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler,ThreadingHTTPServer
from pathlib import Path
from urllib.request import urlopen

notebooks = Path(__file__).parent.parent/'nbs'
frame = '''<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Explore by hand</title><link rel="icon" href="data:,">
<style>
  body {{ font-family: sans-serif; max-width: 50rem; margin: 1rem auto; padding: 0 1rem; }}
  @media (prefers-color-scheme: dark) {{ :root {{ color-scheme: dark; }} body {{ background: #222; color: #eee; }} }}
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

def live_weights(name):
    "The bytes of the safetensors file of a model of the live page."
    path = next((notebooks/'live'/name).glob('model.safetensors*'))
    return gzip.decompress(path.read_bytes()) if path.suffix == '.gz' else path.read_bytes()

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

def _free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]

@contextmanager
def serve_jupyterlab(
    folder,       # a folder of its own, for the copy of the notebook and Jupyter's settings
    name,         # of the notebook
):                # context manager; gives the address of the notebook
    "JupyterLab with a copy of a notebook, on a server that only this machine can reach."
    work,settings = Path(folder)/'work', Path(folder)/'settings'
    work.mkdir()
    shutil.copy(notebooks/name, work)
    if (notebooks/'images').is_dir(): shutil.copytree(notebooks/'images', work/'images')
    for plugin,content in (('notebook-extension/tracker', {'windowingMode': 'none'}), # all cells, not only those on the screen
                           ('apputils-extension/notification', {'fetchNews': 'false', 'checkForUpdates': False})):
        path = settings/'@jupyterlab'/f'{plugin}.jupyterlab-settings'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    port = _free_port()
    env = {**os.environ, 'JUPYTERLAB_SETTINGS_DIR': str(settings), 'JUPYTERLAB_WORKSPACES_DIR': f'{folder}/workspaces',
           'JUPYTER_CONFIG_DIR': f'{folder}/config', 'JUPYTER_DATA_DIR': f'{folder}/data', 'IPYTHONDIR': f'{folder}/ipython'}
    command = [sys.executable, '-m', 'jupyterlab', '--no-browser', '--allow-root', f'--port={port}', '--ip=127.0.0.1',
               '--IdentityProvider.token=', f'--ServerApp.root_dir={work}']
    with open(Path(folder)/'log', 'w') as log, subprocess.Popen(command, env=env, stdout=log, stderr=log) as server:
        try:
            _wait_for(f'http://127.0.0.1:{port}/api')
            yield f'http://127.0.0.1:{port}/lab/tree/{name}'
        finally: server.terminate()

def _wait_for(address, seconds=60):
    "Until a server answers."
    for _ in range(10*seconds):
        try: return urlopen(address).close()
        except OSError: time.sleep(0.1)
    raise TimeoutError(f'{address} does not answer')

def run_all_cells(page):
    "Run an open notebook from top to bottom; an error in a cell is an `AssertionError`."
    page.get_by_text('| Idle').wait_for(timeout=60_000) # else JupyterLab asks which kernel to start
    page.get_by_role('menuitem', name='Run', exact=True).click()
    page.get_by_role('menuitem', name='Run All Cells', exact=True).click()
    page.wait_for_function('''() => {
        const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputArea-prompt')].map(o => o.textContent);
        return prompts.length && prompts.every(o => /\\d/.test(o));
    }''', timeout=180_000)
    page.get_by_text('| Idle').wait_for()
    page.wait_for_timeout(500) # JupyterLab still scrolls to the last cell
    errors = page.locator('.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stderr"], .jp-RenderedText[data-mime-type*="error"]').all_inner_texts()
    assert not errors, errors

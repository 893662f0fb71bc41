"How fast the widgets and the live page follow the hand: python benchmarks/interaction.py; what needs Chromium is left out if there is none."
import random,sys,time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parent.parent/'tools'))
from cvae_nbdev import CVAE,explore,load_images
from cvae_nbdev.widgets import SettingsForm,TrainingThread
from in_browser import find_chromium,open_browser,run_all_cells,serve_jupyterlab,serve_live_page

def report(what, milliseconds):
    ranked = sorted(milliseconds)
    print(f'{what:<58} {median(ranked):6.1f} ms median, {ranked[int(0.95*len(ranked))]:6.1f} of 95 %, {ranked[-1]:6.1f} at most ({len(ranked)})')

def explorer_update():
    "A slider of `explore` is set in Python, until all pictures are made."
    style = explore(CVAE.from_pretrained('post')).parts.style
    def once(value):
        start = time.perf_counter()
        style.sliders[0].value = value
        return 1000*(time.perf_counter() - start)
    return [once(-3 + 0.1*(i % 60)) for i in range(300)][20:]

def stop_training(trials=40):
    "From the order to stop until the thread has ended, at moments drawn at random."
    train,valid = load_images('mnist', 'train'), load_images('mnist', 'valid')
    def once():
        thread = TrainingThread(SettingsForm().trainer(train, valid), lambda thread: None)
        thread.start()
        time.sleep(random.uniform(0.5, 4))
        start = time.perf_counter()
        thread.stopping.set()
        thread.join()
        return 1000*(time.perf_counter() - start)
    return [once() for _ in range(trials)]

def drag(page, handle, width, pause=16):
    "Drag a handle to and fro over half of a width, with a pause in milliseconds after each move."
    handle.hover()
    box = handle.bounding_box()
    x,y = box['x'] + box['width']/2, box['y'] + box['height']/2
    page.mouse.move(x, y)
    page.mouse.down()
    for i in range(100):
        page.mouse.move(x + width*(i % 20)/40, y)
        page.wait_for_timeout(pause)
    page.mouse.up()

def slider_in_jupyterlab(browser, pause):
    "From the first move of the mouse that the picture in JupyterLab does not show yet, until it is another one."
    with TemporaryDirectory() as folder, serve_jupyterlab(folder, '10_widgets.ipynb') as address:
        page = browser.new_page(viewport={'width': 1300, 'height': 1000})
        page.goto(address)
        run_all_cells(page)
        page.evaluate("""() => {
            window.delays = []; let since = null;
            addEventListener('pointermove', e => { if (e.buttons) since ??= performance.now(); }, true);
            const picture = [...document.querySelectorAll('.widget-html')].find(o => o.querySelector('img[alt="as the model draws it"]'));
            new MutationObserver(() => { if (since !== null) delays.push(performance.now() - since); since = null; }).observe(picture, {childList: true, subtree: true});
        }""")
        explorer = page.locator('.jp-OutputArea-output').filter(has_text='as its classifier reads it')
        slider = explorer.locator('.widget-slider', has_text='style 1').first
        drag(page, slider.locator('.noUi-handle'), slider.locator('.noUi-target').bounding_box()['width'], pause)
        return page.evaluate('delays')

def live_page(browser, name):
    "The work in the browser for one change, and the time from the event until all is drawn: of a slider, and of the pen on the pad, with one of the models."
    with serve_live_page() as address:
        page = browser.new_page(viewport={'width': 1000, 'height': 1000})
        page.goto(address)
        page.get_by_role('radio', name=name).check()
        page.wait_for_function('name => document.querySelector("cvae-explorer").folder === name', arg=f'live/{name}')
        page.evaluate("""() => {
            window.work = []; window.delays = [];
            const element = document.querySelector('cvae-explorer'); let since = null, spent = 0;
            element.shadowRoot.addEventListener('input', () => { since ??= performance.now(); }, true);
            element.pad.canvas.addEventListener('pointermove', e => { if (e.buttons) since ??= performance.now(); }, true);
            for (const name of ['read', 'draw']) element[name] = () => {
                const start = performance.now();
                Object.getPrototypeOf(element)[name].call(element);
                spent += performance.now() - start;
                if (name === 'read') return;
                work.push(spent); spent = 0;
                if (since !== null) delays.push(performance.now() - since);
                since = null;
            };
        }""")
        slider,pad = page.get_by_label('style 1', exact=True), page.locator('.pad canvas')
        for handle,width in ((slider, slider.bounding_box()['width']), (pad, pad.bounding_box()['width'])):
            drag(page, handle, width)
            yield from page.evaluate('[work.splice(0), delays.splice(0)]')

if __name__ == '__main__':
    report('explore: a slider is set, until the pictures are made', explorer_update())
    report('train_live: stop, until the training has ended', stop_training())
    if find_chromium():
        with open_browser() as browser:
            report('explore in JupyterLab: the mouse moves, slowly', slider_in_jupyterlab(browser, pause=200))
            report('explore in JupyterLab: the mouse moves, without a pause', slider_in_jupyterlab(browser, pause=16))
            names = ('slider: computing and drawing all pictures', 'slider: from the event until all is drawn',
                     'pen: reading, computing and drawing', 'pen: from the event until all is drawn')
            for model in ('best', 'post'):
                for name,times in zip(names, live_page(browser, model)): report(f'live page, {model}, {name}', times)

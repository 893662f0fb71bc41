"Takes the pictures of what runs only in a browser or with a kernel: the live page, and the widgets. Run it at the top level."
from tempfile import TemporaryDirectory

from in_browser import notebooks,open_browser,run_all_cells,serve_jupyterlab,serve_live_page

def of_live_page(browser):
    with serve_live_page() as address:
        page = browser.new_page(viewport={'width': 840, 'height': 900})
        page.goto(address)
        page.get_by_role('radio', name='8').wait_for()
        for _ in range(5): page.get_by_role('button', name='Paint a test image').click() # to the one of a 4
        page.get_by_role('status').filter(has_text='Read as 4').wait_for()
        page.get_by_role('radio', name='8').check()
        page.get_by_role('img', name='8, drawn').wait_for()
        page.locator('cvae-explorer').screenshot(path=notebooks/'live'/'explore.png')

def of_widgets(browser):
    (notebooks/'images').mkdir(exist_ok=True)
    with TemporaryDirectory() as folder, serve_jupyterlab(folder, '10_widgets.ipynb') as address:
        page = browser.new_page(viewport={'width': 1300, 'height': 1400})
        page.goto(address)
        run_all_cells(page)
        interact,explorer,restyle,training = page.locator('.jp-OutputArea-output > .jupyter-widgets').all()
        explorer.get_by_role('button', name='new style').click()
        explorer.get_by_role('button', name='7').click()
        restyle.get_by_role('button').last.click()
        training.get_by_role('button', name='start').click()
        training.get_by_text('3 of 20 epochs').wait_for(timeout=60_000)
        training.get_by_role('button', name='stop').click()
        training.get_by_text('stopped after').wait_for()
        for name,panel in (('interact', interact), ('explore', explorer), ('restyle', restyle), ('train_live', training)):
            panel.scroll_into_view_if_needed()
            panel.screenshot(path=notebooks/'images'/f'{name}.png', style='.jp-OutputArea-output { max-width: 52rem }')

if __name__ == '__main__':
    with open_browser() as browser:
        of_live_page(browser)
        of_widgets(browser)

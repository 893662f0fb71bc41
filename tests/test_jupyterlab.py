"The widgets in JupyterLab, in a real browser: the notebook runs from top to bottom, and its panels follow the hand."
import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.slow

from in_browser import run_all_cells,serve_jupyterlab

@pytest.fixture(scope='module')
def page(browser, tmp_path_factory):
    "The notebook of the widgets after a run; at the end there must have been no error, and no request to elsewhere."
    complaints = []
    with serve_jupyterlab(tmp_path_factory.mktemp('jupyterlab'), '10_widgets.ipynb') as address:
        page = browser.new_page(viewport={'width': 1300, 'height': 1000})
        page.on('console', lambda o: complaints.append(o.text) if o.type == 'error' else None)
        page.on('pageerror', lambda o: complaints.append(str(o)))
        page.on('request', lambda o: None if re.match(r'(http|ws)://127\.0\.0\.1|data:|blob:', o.url) else complaints.append(o.url))
        page.goto(address)
        run_all_cells(page)
        yield page
        page.close()
    assert not complaints

def panel(page, text):
    "The panel that shows a text."
    return page.locator('.jp-OutputArea-output').filter(has_text=text)

def picture(panel, alt): return panel.get_by_alt_text(alt, exact=True)

def source(panel, alt): return picture(panel, alt).get_attribute('src')

def test_a_dragged_slider_changes_the_pictures(page):
    explorer = panel(page, 'as its classifier reads it')
    slider = explorer.locator('.widget-slider', has_text='style 1').first
    expect(slider).to_contain_text('0.0') # as the notebook left it
    before = {alt: source(explorer, alt) for alt in ('as the model draws it', '7')}
    slider.locator('.noUi-handle').hover() # brings it onto the screen, and waits until it rests
    box = slider.locator('.noUi-handle').bounding_box()
    page.mouse.move(box['x'] + box['width']/2, box['y'] + box['height']/2)
    page.mouse.down()
    page.mouse.move(box['x'] + 40, box['y'] + box['height']/2, steps=5)
    page.mouse.up()
    expect(slider).not_to_contain_text('0.0')
    for alt,src in before.items(): expect(picture(explorer, alt)).not_to_have_attribute('src', src)

def test_buttons_change_the_pictures(page):
    explorer = panel(page, 'as its classifier reads it')
    for name in ('5', '6', 'new style', 'back to zero'):
        before = source(explorer, 'as the model draws it')
        explorer.get_by_role('button', name=name).click()
        expect(picture(explorer, 'as the model draws it')).not_to_have_attribute('src', before)

def test_interact_draws_too(page):
    simple = page.locator('.jp-OutputArea-output').filter(has=page.locator('.widget-interact')).first
    before = simple.locator('img').get_attribute('src')
    simple.locator('select').select_option('4')
    expect(simple.locator('img')).not_to_have_attribute('src', before)

def test_steps_through_images(page):
    explorer = panel(page, 'in the style of the image')
    before = source(explorer, 'image')
    explorer.locator('button').last.click()
    expect(picture(explorer, 'image')).not_to_have_attribute('src', before)

def test_trains_draws_and_stops(page):
    training = panel(page, 'digit_weight')
    start,stop = (training.get_by_role('button', name=o) for o in ('start', 'stop'))
    field = training.get_by_label('z_dim')
    field.fill('0')
    start.click(delay=100) # as long as a hand presses it; meanwhile the field reports its value
    expect(training.get_by_role('alert')).to_contain_text('z_dim is 0')
    field.fill('5')
    start.click(delay=100)
    expect(training.get_by_alt_text('samples after each epoch')).to_be_visible(timeout=60_000)
    expect(training.get_by_alt_text('losses over the epochs')).to_be_visible()
    stop.click()
    expect(training.get_by_role('status')).to_contain_text('stopped after')
    expect(start).to_be_enabled()
    expect(stop).to_be_disabled()

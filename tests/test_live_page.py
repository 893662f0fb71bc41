"The live page in a real browser: its models draw and read as PyTorch does, with mouse, finger and keys, and it says what is wrong."
import gzip,json
from functools import partial
from math import cos,pi,sin

import pytest,torch
from safetensors.torch import load,save

from cvae_nbdev.better import FlowConfig,FlowCVAE
from cvae_nbdev.model import CVAE,CVAEConfig
from cvae_nbdev.sampling import generate,infer
from cvae_nbdev.scores import score
from cvae_nbdev.photographs import centred
from cvae_nbdev.sources import load_images
from in_browser import live_weights,notebooks,serve_live_page
from strokes import pen_paths

pytestmark = pytest.mark.slow
tolerance = 1e-4   # of a pixel or a probability, to PyTorch
grey_level = 1/255     # what a canvas can show

@pytest.fixture(scope='module')
def address():
    with serve_live_page() as o: yield o

def rounded_model(name):
    "The model of a folder of the page, with the weights that the page has, in PyTorch."
    folder = notebooks/'live'/name
    content = json.loads((folder/'config.json').read_text())
    make,config = {'CVAE': (CVAE, CVAEConfig), 'FlowCVAE': (FlowCVAE, FlowConfig)}[content['class']]
    model = make(config(**{name: tuple(o) if isinstance(o, list) else o for name,o in content['model'].items()}))
    weights = load(live_weights(name))
    for scale in [o for o in weights if o.endswith('.scale')]:
        rows = weights[scale.removesuffix('.scale')].double()
        weights[scale.removesuffix('.scale')] = torch.stack([factor*row for factor,row in zip(weights.pop(scale).double(), rows)])
    model.load_state_dict(weights)
    model.saved = content
    return model.eval()

@pytest.fixture(scope='module')
def models(): return {name: rounded_model(name) for name in ('best', 'post')}

@pytest.fixture(scope='module')
def model(models): return models['best'] # which the page shows first

@pytest.fixture(scope='module')
def test_images(): return load_images('mnist', 'test')

def answer(content, route):
    if content is None: route.abort()
    else: route.fulfill(body=content)

@pytest.fixture
def open_page(browser, address):
    "Opens the page, with files replaced as asked; afterwards there must have been no error, and no request to elsewhere."
    complaints,contexts = [], []
    def open_page(replaced={}, ready='.picture', expect_errors=False, **options):
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        if not expect_errors:
            page.on('console', lambda o: complaints.append(o.text) if o.type == 'error' else None)
            page.on('pageerror', lambda o: complaints.append(str(o)))
        page.requested = []
        page.on('request', lambda o: page.requested.append(o.url))
        page.on('request', lambda o: None if o.url.startswith((address.rpartition('/')[0], 'data:')) else complaints.append(o.url))
        for path,content in replaced.items():
            page.route(f'**/{path}', partial(answer, content))
        page.goto(address)
        if ready: page.wait_for_selector(ready)
        return page
    yield open_page
    for o in contexts: o.close()
    assert not complaints

@pytest.fixture
def page(open_page): return open_page()

def explorer(page, expression, *args):
    "The value of a JavaScript expression of `e`, the element of the page, `m`, its module, and the arguments `a`; after the next frame, which shows what was changed."
    return page.evaluate(f'''async a => {{
        const e = document.querySelector('cvae-explorer'), m = await import('/live/explore.js');
        await new Promise(requestAnimationFrame);
        return {expression};
    }}''', list(args))

def style(page): return torch.tensor(explorer(page, 'e.choice.style'))

def drawn(page):
    "The picture that the page shows, as numbers in [0, 1]."
    data = explorer(page, "Array.from(e.picture.getContext('2d').getImageData(0, 0, e.picture.width, e.picture.height).data)")
    return torch.tensor(data[::4]).view(28, 28)/255

def read_as(page): return explorer(page, 'e.status.textContent')

def expected_drawing(model, page, label): return generate(model, [label], style=style(page)).images[0]

def choose_model(page, name):
    page.get_by_role('radio', name=name).check()
    page.wait_for_function('name => document.querySelector("cvae-explorer").folder === name', arg=f'live/{name}')

def drag(page, slider, share):
    "Drag the thumb of a slider to a share of its width."
    box = slider.bounding_box()
    page.mouse.move(box['x'] + box['width']/2, box['y'] + box['height']/2)
    page.mouse.down()
    page.mouse.move(box['x'] + share*box['width'], box['y'] + box['height']/2, steps=5)
    page.mouse.up()

def draw(page, paths, scale, x=0, y=0):
    "Draw on the pad with the mouse; `paths` are in pixels of an image."
    pad = page.locator('.pad canvas')
    pad.scroll_into_view_if_needed()
    box,width = pad.bounding_box(), explorer(page, 'e.pad.width')
    place = lambda p: (box['x'] + (x + scale*p[0])*box['width']/width, box['y'] + (y + scale*p[1])*box['width']/width)
    for path in paths:
        page.mouse.move(*place(path[0]))
        page.mouse.down()
        for p in path[1:]: page.mouse.move(*place(p))
        page.mouse.up()

@pytest.mark.parametrize('name', ['best', 'post'])
def test_draws_what_pytorch_draws(page, models, name):
    choose_model(page, name)
    samples = generate(models[name], n=20)
    images = explorer(page, 'a[0].map((style, i) => Array.from(e.model.draw(style, m.oneHot(a[1][i], 10))))', samples.style.tolist(), samples.labels.tolist())
    assert (torch.tensor(images) - samples.images.flatten(1)).abs().max() < tolerance

@pytest.mark.parametrize('name', ['best', 'post'])
def test_reads_what_pytorch_reads(page, models, test_images, name):
    choose_model(page, name)
    x = test_images.images[:200]/255
    expected = infer(models[name], x)
    probabilities,styles = zip(*explorer(page, 'a[0].map(x => e.model.read(x)).map(o => [Array.from(o.probabilities), Array.from(o.style)])', x.flatten(1).tolist()))
    assert (torch.tensor(probabilities) - expected.probs).abs().max() < tolerance
    assert (torch.tensor(styles) - expected.style).abs().max() < 5*tolerance

@pytest.mark.parametrize('name', ['best', 'post'])
def test_what_is_unusual_is_so_in_pytorch(page, models, test_images, name):
    choose_model(page, name)
    x = torch.cat([test_images.images[:100], 255 - test_images.images[:3], test_images.images[:20].flip(1), torch.zeros(1, 28, 28, dtype=torch.uint8)])/255
    found = explorer(page, 'a[0].map(x => e.model.quantile(x, e.model.read(x)))', x.flatten(1).tolist())
    assert (torch.tensor(found) - score(models[name], x).quantile).abs().max() < 0.01

def test_a_dragged_slider_changes_the_picture(page, model):
    before = drawn(page)
    drag(page, page.get_by_label('style 3', exact=True), 0.9)
    assert style(page)[2] > 2 and style(page).count_nonzero() == 1
    assert (drawn(page) - before).abs().max() > 0.2
    assert (drawn(page) - expected_drawing(model, page, 0)).abs().max() < grey_level

def test_digit_buttons_change_the_picture(page, model):
    page.get_by_role('button', name='New style').click()
    for label in (8, 3):
        page.get_by_role('radio', name=str(label)).check()
        assert (drawn(page) - expected_drawing(model, page, label)).abs().max() < grey_level
        assert page.get_by_role('img', name=f'{label}, drawn').is_visible()

def test_new_styles_differ_and_zero_comes_back(page):
    styles = []
    for _ in range(20):
        page.get_by_role('button', name='New style').click()
        styles.append(style(page))
    assert abs(torch.stack(styles).mean()) < 0.3 and 0.8 < torch.stack(styles).std() < 1.2 # of 200 numbers or more from N(0, 1)
    page.get_by_role('button', name='Back to zero').click()
    assert not style(page).any()

def test_reads_test_images_from_the_pad_as_pytorch_does(page, model, test_images):
    for label in range(10):
        image = test_images.images[test_images.labels == label][0]
        expected = infer(model, image)
        page.get_by_role('button', name='Paint a test image').click()
        guess = expected.labels.item()
        assert read_as(page) == f'Read as {guess}, with a probability of {100*expected.probs.max():.0f} %.'
        assert (style(page) - expected.style[0]).abs().max() < 0.01
        assert (drawn(page) - generate(model, [guess], style=expected.style).images[0]).abs().max() < 2*grey_level

def test_a_painted_image_comes_back_as_it_was(page, test_images):
    images = test_images.images[:300].flatten(1)
    errors = explorer(page, '''a[0].map(image => {
        e.pad.paint(image.map(o => o/255), [28, 28]);
        const found = m.normalise(e.pad.ink(), [e.pad.height, e.pad.width], [28, 28]);
        return Math.max(...found.map((o, i) => Math.abs(o - image[i]/255)));
    })''', images.tolist())
    assert sum(o < 1e-5 for o in errors) >= 0.99*len(errors) # all but those that the authors of MNIST cut off

def test_size_and_place_do_not_matter(page, model, test_images):
    x = test_images.images[:100]/255
    for scale,left,top in ((7.3, 11, 30), (5.1, 90, 20), (3.3, 10, 100)):
        labels = explorer(page, '''a[0].map(x => {
            e.pad.paint(x, [28, 28], ...a[1]);
            return m.indexOfLargest(e.model.read(m.normalise(e.pad.ink(), [e.pad.height, e.pad.width], [28, 28])).probabilities);
        })''', x.flatten(1).tolist(), [left, top, scale])
        assert (torch.tensor(labels) == infer(model, x).labels).float().mean() >= 0.97

def test_a_picture_is_centred_as_a_drawing_is(page, test_images):
    generator = torch.Generator().manual_seed(0)
    for image,scale in zip(test_images.images, (1, 2, 3, 5, 7)):
        canvas,side = torch.zeros(240, 210, dtype=torch.uint8), 28*scale
        top,left = (torch.randint(0, o - side + 1, (), generator=generator).item() for o in canvas.shape)
        canvas[top:top + side, left:left + side] = image.repeat_interleave(scale, 0).repeat_interleave(scale, 1)
        for shape in ([28, 28], [24, 20]):
            ink = (canvas.flatten()/255).tolist()
            expected = torch.tensor(explorer(page, 'Array.from(m.normalise(a[0], [240, 210], a[1]))', ink, shape)).view(shape)
            assert (centred(canvas, shape)/255 - expected).abs().max() < 0.01 # its ink is stretched to white

def test_reads_handwriting(page, model, test_images):
    same = 0
    for label in range(10):
        image = test_images.images[test_images.labels == label][0]/255
        page.get_by_role('button', name='Clear').click()
        draw(page, pen_paths(image), scale=8, x=30, y=30)
        same += read_as(page).startswith(f'Read as {infer(model, image).labels.item()},')
    assert same >= 8

def test_a_finger_draws_and_the_page_fits_a_phone(open_page):
    page = open_page(viewport={'width': 360, 'height': 740}, has_touch=True, is_mobile=True)
    assert page.evaluate('document.documentElement.scrollWidth <= innerWidth')
    page.locator('.pad canvas').tap()
    assert read_as(page).startswith('Read as ') and page.get_by_role('list').is_visible()
    assert explorer(page, 'e.meters.reduce((sum, o) => sum + o.value, 0)') == pytest.approx(1, abs=1e-4)

def place_of(page, selector): return page.locator(selector).bounding_box()

@pytest.mark.parametrize('width', [320, 360, 390, 700, 1000])
def test_the_picture_stands_beside_the_pad(open_page, width):
    page = open_page(viewport={'width': width, 'height': 740})
    pad,picture = (place_of(page, o) for o in ('.pad', '.picture'))
    assert pad['y'] == picture['y'] and pad['x'] + pad['width'] < picture['x'] and pad['width'] > 200 and picture['width'] > 70

def test_an_empty_pad_says_what_it_is_for(page):
    hint = page.get_by_text('Draw a digit', exact=True)
    assert hint.is_visible()
    page.locator('.pad canvas').click()
    assert not hint.is_visible()
    page.get_by_role('button', name='Clear').click()
    assert hint.is_visible()
    page.get_by_role('button', name='Paint a test image').click()
    assert not hint.is_visible()

def tap(page, x, y):
    box,width = page.locator('.pad canvas').bounding_box(), explorer(page, 'e.pad.width')
    page.mouse.click(box['x'] + x*box['width']/width, box['y'] + y*box['width']/width)

@pytest.mark.parametrize('scale', [5, 8])
def test_a_stray_dot_changes_nothing(page, test_images, scale):
    for i in range(12):
        page.get_by_role('button', name='Clear').click()
        draw(page, pen_paths(test_images.images[i]/255), scale=scale)
        before = read_as(page)
        tap(page, 270, 270)
        assert read_as(page) == before

def test_parts_of_a_digit_are_kept(page):
    "A 5 in two strokes, whose upper one is short."
    draw(page, [[(15, 5), (9, 5), (8, 13), (14, 13), (17, 17), (14, 22), (8, 22)]], scale=8)
    before = explorer(page, 'e.pad.ink().filter(o => o).length')
    draw(page, [[(19, 5), (23, 5)]], scale=8)
    assert explorer(page, 'e.pad.ink().filter(o => o).length') > 1.05*before

def test_what_is_no_digit_is_named(page, test_images):
    strange = 'It does not look like a digit that I know.'
    tap(page, 100, 100)
    assert read_as(page).endswith(strange)
    page.get_by_role('button', name='Clear').click()
    draw(page, pen_paths(test_images.images[0]/255), scale=8, x=30, y=30)
    assert strange not in read_as(page) and read_as(page).startswith('Read as 7')

def circle(x, y, r): return [(x + r*cos(pi*i/12), y + r*sin(pi*i/12)) for i in range(25)]

face = [circle(14, 15, 8), [(7, 11), (6, 3), (11, 8)], [(21, 11), (22, 3), (17, 8)], circle(11, 13, 0.6), circle(17, 13, 0.6), [(11, 19), (14, 18), (17, 19)]]
doodles = {
    'a cat': [*face, [(1, 14), (8, 16)], [(1, 19), (8, 18)], [(27, 14), (20, 16)], [(27, 19), (20, 18)]],
    'a house': [[(6, 26), (6, 14), (14, 6), (22, 14), (22, 26), (6, 26)], [(11, 26), (11, 19), (16, 19), (16, 26)]],
    'a star': [[(14 + 9*sin(4*pi*i/5), 14 - 9*cos(4*pi*i/5)) for i in range(6)]],
    'ten': [[(3, 7), (3, 21)], circle(17, 14, 7)],
    'a frame': [[(2, 2), (26, 2), (26, 26), (2, 26), (2, 2)]],
}

@pytest.mark.parametrize('name', doodles)
def test_a_doodle_is_no_digit(page, name):
    draw(page, doodles[name], scale=9)
    assert read_as(page).endswith('It does not look like a digit that I know.')

def test_what_is_painted_is_a_digit_or_not(page, test_images):
    def noticed(image):
        explorer(page, 'e.pad.paint(a[0], [28, 28])', (image/255).flatten().tolist())
        return read_as(page).endswith('It does not look like a digit that I know.')
    images = test_images.images[:30]
    assert all(noticed(255 - o) for o in images[:3])
    assert all(noticed(torch.cat([one[:, ::2], other[:, ::2]], dim=1)) for one,other in zip(images[:3], images[3:6]))
    assert sum(map(noticed, images)) <= 1

def test_few_handwritten_digits_are_called_none(page, test_images):
    noticed = 0
    for image in test_images.images[:40]/255:
        page.get_by_role('button', name='Clear').click()
        draw(page, pen_paths(image), scale=8, x=30, y=30)
        noticed += 'does not look' in read_as(page)
    assert noticed <= 2

def test_the_sliders_reach_as_far_as_a_style(page):
    def ends(): return explorer(page, 'e.sliders.map(o => [Number(o.min), Number(o.max), o.valueAsNumber])')
    assert all(o[:2] == [-3, 3] for o in ends())
    explorer(page, 'e.set({style: e.choice.style.map((_, i) => i ? 0 : -4.2)})')
    assert all(o[:2] == [-5, 5] for o in ends()) and ends()[0][2] == pytest.approx(-4.2)
    drag(page, page.get_by_label('style 2', exact=True), 0.9)
    assert all(o[:2] == [-5, 5] for o in ends()) and ends()[1][2] > 3
    page.get_by_role('button', name='Back to zero').click()
    assert all(o[:2] == [-3, 3] for o in ends())

@pytest.mark.parametrize('width', [320, 390, 560, 640, 800, 1300])
def test_nothing_below_moves_when_the_model_comes_or_changes(open_page, width):
    size = {'viewport': {'width': width, 'height': 800}}
    before = open_page({'explore.js': None}, ready=None, expect_errors=True, **size)
    height = place_of(before, 'cvae-explorer')['height']
    page = open_page(**size)
    assert place_of(page, 'cvae-explorer')['height'] == height
    page.get_by_role('button', name='Paint a test image').click()
    choose_model(page, 'post')
    assert place_of(page, 'cvae-explorer')['height'] == height
    shown = page.evaluate('document.querySelector("cvae-explorer").content.getBoundingClientRect().bottom')
    box = place_of(page, 'cvae-explorer')
    assert 0 <= box['y'] + box['height'] - shown < 160 # what is reserved is needed

def test_everything_works_by_keyboard(page, model):
    def press(*keys):
        for key in keys: page.keyboard.press(key)
    press('Tab', 'Tab', 'ArrowRight', 'ArrowRight')           # the model, the digit
    assert explorer(page, 'e.choice.label') == 2
    press(*['Tab']*6, *['ArrowRight']*10)                     # the pad, four buttons, the first slider
    assert style(page)[0] == pytest.approx(0.5) and style(page).count_nonzero() == 1
    assert (drawn(page) - expected_drawing(model, page, 2)).abs().max() < grey_level

    page.get_by_role('application').focus()
    for _ in range(10): page.keyboard.press('ArrowUp')
    page.keyboard.press('Space')
    for _ in range(20): page.keyboard.press('ArrowDown')
    page.keyboard.press('Space')
    assert read_as(page).startswith('Read as 1,')
    page.keyboard.press('Delete')
    assert read_as(page) == '' and not explorer(page, 'e.pad.ink().some(o => o)')

def test_a_moved_element_stays_as_it_is(page):
    page.get_by_role('radio', name='6').check()
    page.evaluate("document.body.append(document.querySelector('cvae-explorer'))")
    assert explorer(page, 'e.choice.label') == 6 and page.get_by_role('radio', name='6').is_checked()

def test_every_control_has_a_name(page):
    unnamed = page.evaluate('''() => [...document.querySelector('cvae-explorer').shadowRoot.querySelectorAll('input, button, meter, canvas, ul')]
        .filter(o => !o.ariaLabel && !o.ariaHidden && !o.textContent.trim() && !o.labels?.[0]?.textContent.trim()).map(o => o.outerHTML)''')
    assert unnamed == []

def file_of(name, file): return (notebooks/'live'/name/file).read_bytes()

def weights_requested(page, name): return [o for o in page.requested if f'live/{name}/model' in o]

def test_another_model_is_fetched_when_asked_for_and_keeps_the_digit(page, models):
    assert len(weights_requested(page, 'best')) == 1 and not weights_requested(page, 'post')
    page.get_by_role('radio', name='7').check()
    for name in ('post', 'best', 'post'):
        choose_model(page, name)
        assert page.get_by_role('radio', name='7').is_checked() and page.get_by_role('slider').count() == models[name].config.z_dim
        page.get_by_role('button', name='New style').click()
        assert (drawn(page) - expected_drawing(models[name], page, 7)).abs().max() < grey_level
    assert len(weights_requested(page, 'best')) == 1 and len(weights_requested(page, 'post')) == 1

def test_another_model_is_chosen_by_keyboard(page):
    page.keyboard.press('Tab')
    for key,name in (('ArrowRight', 'post'), ('ArrowLeft', 'best')):
        page.keyboard.press(key)
        page.wait_for_function('name => document.querySelector("cvae-explorer").folder === name', arg=f'live/{name}')
        assert page.evaluate('document.activeElement.shadowRoot.activeElement.value') == f'live/{name}'

def test_another_model_reads_the_same_drawing(page, models, test_images):
    image = test_images.images[test_images.labels == 0][0]
    page.get_by_role('button', name='Paint a test image').click()
    page.get_by_role('radio', name='5').check()
    for name in ('post', 'best'):
        choose_model(page, name)
        expected = infer(models[name], image)
        assert read_as(page) == f'Read as {expected.labels.item()}, with a probability of {100*expected.probs.max():.0f} %.'
        assert (style(page) - expected.style[0]).abs().max() < 0.01
        assert (drawn(page) - generate(models[name], [5], style=expected.style).images[0]).abs().max() < 2*grey_level

def test_a_model_that_cannot_be_fetched_leaves_the_other(open_page, model):
    page = open_page({'live/post/model.safetensors': None}, expect_errors=True)
    page.get_by_role('radio', name='post').click()
    page.get_by_text('live/post/model.safetensors could not be fetched').wait_for()
    assert page.get_by_role('radio', name='best').is_checked()
    page.get_by_role('button', name='New style').click()
    assert (drawn(page) - expected_drawing(model, page, 0)).abs().max() < grey_level
    page.unroute('**/live/post/model.safetensors')
    choose_model(page, 'post')
    assert not page.get_by_text('could not be fetched').is_visible()

def test_the_model_chosen_last_is_shown(page):
    waiting = []
    page.route('**/live/post/model.safetensors', lambda route: waiting.append(route))
    page.get_by_role('radio', name='post').check()
    page.get_by_text('Loading').wait_for()
    page.get_by_role('radio', name='best').check()
    with page.expect_response('**/live/post/model.safetensors'): waiting[0].continue_()
    assert explorer(page, '[await e.models["live/post"] && e.folder, e.wanted]') == ['live/best']*2
    assert page.get_by_role('radio', name='best').is_checked() and not page.get_by_text('Loading').is_visible()

def test_what_a_config_does_not_say_is_as_in_the_reference(open_page, models):
    page = open_page({'live/best/config.json': b'{"format": 2, "model": {}}', 'live/best/model.safetensors': file_of('post', 'model.safetensors')})
    page.get_by_role('button', name='New style').click()
    assert (drawn(page) - expected_drawing(models['post'], page, 0)).abs().max() < grey_level

config,weights,packed = file_of('post', 'config.json'), file_of('post', 'model.safetensors'), file_of('best', 'model.safetensors.gz')
flipped = weights[:-100] + bytes([weights[-100] ^ 1]) + weights[-99:]
without_scales = save({name: o for name,o in load(gzip.decompress(packed)).items() if not name.endswith('.scale')})

@pytest.mark.parametrize('replaced, sentence', [
    ({'model.safetensors': None}, 'could not be fetched'),
    ({'model.safetensors': b''}, 'it has no header'),
    ({'model.safetensors': b'<html>Not found</html>'}, 'its header is cut off'),
    ({'model.safetensors': weights[:1000]}, 'its header is cut off'),
    ({'model.safetensors': weights[:-1]}, 'is cut off'),
    ({'model.safetensors': flipped}, 'does not match its checksum'),
    ({'model.safetensors': weights.replace(b'F16', b'I16')}, 'has the type I16'),
    ({'model.safetensors': len(b'{"a": {"dtype": "F16"}}').to_bytes(8, 'little') + b'{"a": {"dtype": "F16"}}'}, 'does not describe a'),
    ({'model.safetensors': b'\4\0\0\0\0\0\0\0null'}, 'has the shape [missing]'),
    ({'config.json': b'{'}, 'not JSON'),
    ({'config.json': b'null'}, 'not the configuration of a model'),
    ({'config.json': b'{"format": 3, "model": {}}'}, 'not the configuration of a model'),
    ({'config.json': config.replace(b'"z_dim": 10', b'"z_dim": 11')}, 'expected [11,128]'),
    ({'config.json': config.replace(b'sigmoid', b'gelu')}, 'activation is gelu'),
    ({'config.json': config.replace(b'"CVAE"', b'"MyCVAE"')}, 'its class is MyCVAE, expected CVAE, FlowCVAE'),
    ({'model.safetensors': packed[:-1000]}, 'not a complete gzip file'),
    ({'model.safetensors': without_scales}, '.scale has the shape [missing]'),
    ({'digits.safetensors': None}, 'could not be fetched'),
])
def test_bad_files_give_a_sentence_and_the_picture(open_page, replaced, sentence):
    files = {'config.json': config, 'model.safetensors': weights, **replaced}
    page = open_page({name if name.startswith('digits') else f'live/best/{name}': o for name,o in files.items()}, ready='[role=alert]', expect_errors=True)
    assert sentence in page.get_by_role('alert').inner_text()
    assert page.get_by_role('img', name='Ten buttons').is_visible()

def test_without_javascript_there_is_a_picture_and_a_sentence(open_page):
    page = open_page(ready=None, java_script_enabled=False)
    picture = page.get_by_role('img', name='Ten buttons')
    assert picture.is_visible() and picture.bounding_box()['width'] > 300
    assert page.get_by_text('it needs JavaScript').is_visible()

small = {'image_shape': (6, 5), 'num_classes': 3, 'z_dim': 2, 'encoder_layers': (7, 4), 'classifier_layers': (6,), 'decoder_layers': (5, 8, 9),
         'class_names': ('a', '<b>', 'c & d'), 'init_seed': 1}
large = {'image_shape': (7, 8)}

def with_random_weights(make, config):
    "A model in which every number matters: those that begin as zero or one as well."
    torch.manual_seed(1)
    model = make(config)
    for name,o in model.state_dict().items():
        if name.endswith('running_var'): o.uniform_(0.5, 2)
        elif o.is_floating_point(): o.normal_(0, 0.5)
    return model.eval()

@pytest.mark.parametrize('make,settings', [
    *((CVAE, {'activation': o}) for o in ('tanh', 'relu')), (CVAE, {'encoder_layers': (), 'decoder_layers': (), 'classifier_layers': ()}),
    *((FlowCVAE, o) for o in ({}, {'z_dim': 3}, {'z_dim': 1}, {'activation': 'tanh'}, {'classifier_layers': (5,)}, {'encoder_pool': 1}, large,
                              large | {'encoder_pool': 3}, {'encoder_layers': (), 'decoder_layers': (), 'couplings': 1}))],
    ids=lambda o: o.__name__ if isinstance(o, type) else ' '.join(map(str, o.values())))
def test_other_models_run_as_in_pytorch(open_page, tmp_path, make, settings):
    sizes = {'couplings': 3, 'coupling_width': 6, 'classifier_layers': (2, 4, 3)} if make is FlowCVAE else {}
    other = with_random_weights(make, make.config_class(**small | sizes | settings))
    other.save_pretrained(tmp_path)
    files = {f'live/post/{name}': (tmp_path/name).read_bytes() for name in ('config.json', 'model.safetensors')}
    page = open_page(files)
    choose_model(page, 'post')
    x,style = torch.rand(5, *other.config.image_shape), torch.randn(5, other.config.z_dim)
    found = explorer(page, 'a[0].map(o => Array.from(e.model.draw(o, [0, 1, 0])))', style.tolist())
    assert torch.allclose(torch.tensor(found), generate(other, [1], style=style).images.flatten(1), atol=1e-5)
    readings = explorer(page, 'a[0].map(o => e.model.read(o)).map(o => [Array.from(o.probabilities), Array.from(o.style)])', x.flatten(1).tolist())
    expected = infer(other, x)
    assert torch.allclose(torch.tensor([o[0] for o in readings]), expected.probs, atol=1e-5)
    assert torch.allclose(torch.tensor([o[1] for o in readings]), expected.style, rtol=1e-4, atol=1e-5)
    page.get_by_role('radio', name='c & d').check()
    page.locator('.pad canvas').click()
    assert read_as(page).startswith('Read as ')

"The live page in a real browser: it draws and reads as PyTorch does, with mouse, finger and keys, and says what is wrong."
from functools import partial

import pytest,torch

from cvae_nbdev import CVAE,CVAEConfig,generate,infer,load_images
from in_browser import notebooks,serve_live_page
from strokes import pen_paths

pixel_tolerance = 2e-3 # between half precision weights in the browser and PyTorch
grey_level = 1/255     # what a canvas can show

@pytest.fixture(scope='module')
def address():
    with serve_live_page() as o: yield o

@pytest.fixture(scope='module')
def model(): return CVAE.from_pretrained('post')

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

def style(page): return torch.tensor(explorer(page, 'e.z'))

def drawn(page):
    "The picture that the page shows, as numbers in [0, 1]."
    data = explorer(page, "Array.from(e.picture.getContext('2d').getImageData(0, 0, e.picture.width, e.picture.height).data)")
    return torch.tensor(data[::4]).view(28, 28)/255

def read_as(page): return explorer(page, 'e.status.textContent')

def expected_drawing(model, page, label): return generate(model, [label], style=style(page)).images[0]

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

def test_draws_what_pytorch_draws(page, model):
    samples = generate(model, n=20)
    images = explorer(page, 'a[0].map((z, i) => Array.from(e.model.decode(z, m.oneHot(a[1][i], 10))))', samples.style.tolist(), samples.labels.tolist())
    assert (torch.tensor(images) - samples.images.flatten(1)).abs().max() < pixel_tolerance

def test_reads_what_pytorch_reads(page, model, test_images):
    x = test_images.images[:200]/255
    expected = infer(model, x)
    probabilities,z = explorer(page, '[a[0].map(x => Array.from(e.model.classify(x))), a[0].map(x => Array.from(e.model.encode(x)))]', x.flatten(1).tolist())
    assert (torch.tensor(probabilities) - expected.probabilities).abs().max() < pixel_tolerance
    assert (torch.tensor(z) - expected.style).abs().max() < 0.01

def test_a_dragged_slider_changes_the_picture(page, model):
    before = drawn(page)
    drag(page, page.get_by_label('z3', exact=True), 0.9)
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
    assert abs(torch.stack(styles).mean()) < 0.3 and 0.8 < torch.stack(styles).std() < 1.2 # of 200 numbers from N(0, 1)
    page.get_by_role('button', name='Back to zero').click()
    assert not style(page).any()

def test_reads_test_images_from_the_pad_as_pytorch_does(page, model, test_images):
    for label in range(10):
        image = test_images.images[test_images.labels == label][0]
        expected = infer(model, image)
        page.get_by_role('button', name='Paint a test image').click()
        guess = expected.labels.item()
        assert read_as(page) == f'Read as {guess}, with a probability of {100*expected.probabilities.max():.0f} %.'
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
            return m.indexOfLargest(e.model.classify(m.normalise(e.pad.ink(), [e.pad.height, e.pad.width], [28, 28])));
        })''', x.flatten(1).tolist(), [left, top, scale])
        assert (torch.tensor(labels) == infer(model, x).labels).float().mean() >= 0.97

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

def test_everything_works_by_keyboard(page, model):
    page.keyboard.press('Tab')
    page.keyboard.press('ArrowRight')
    page.keyboard.press('ArrowRight')
    assert explorer(page, 'e.label') == 2
    page.keyboard.press('Tab')
    for _ in range(10): page.keyboard.press('ArrowRight')
    assert style(page)[0] == pytest.approx(0.5)
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
    assert explorer(page, 'e.label') == 6 and page.get_by_role('radio', name='6').is_checked()

def test_every_control_has_a_name(page):
    unnamed = page.evaluate('''() => [...document.querySelector('cvae-explorer').shadowRoot.querySelectorAll('input, button, meter, canvas, ul')]
        .filter(o => !o.ariaLabel && !o.ariaHidden && !o.textContent.trim() && !o.labels?.[0]?.textContent.trim()).map(o => o.outerHTML)''')
    assert unnamed == []

weights = (notebooks/'live'/'post'/'model.safetensors').read_bytes()
flipped = weights[:-100] + bytes([weights[-100] ^ 1]) + weights[-99:]

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
    ({'config.json': b'{"format": 2, "model": {}}'}, 'not the configuration of a model'),
    ({'config.json': (notebooks/'live'/'post'/'config.json').read_bytes().replace(b'"z_dim": 10', b'"z_dim": 11')}, 'expected [11,128]'),
    ({'config.json': (notebooks/'live'/'post'/'config.json').read_bytes().replace(b'sigmoid', b'gelu')}, 'activation is gelu'),
    ({'digits.safetensors': None}, 'could not be fetched'),
])
def test_bad_files_give_a_sentence_and_the_picture(open_page, replaced, sentence):
    page = open_page(replaced, ready='[role=alert]', expect_errors=True)
    assert sentence in page.get_by_role('alert').inner_text()
    assert page.get_by_role('img', name='Ten buttons').is_visible()

def test_without_javascript_there_is_a_picture_and_a_sentence(open_page):
    page = open_page(ready=None, java_script_enabled=False)
    picture = page.get_by_role('img', name='Ten buttons')
    assert picture.is_visible() and picture.bounding_box()['width'] > 300
    assert page.get_by_text('it needs JavaScript').is_visible()

@pytest.mark.parametrize('activation', ['tanh', 'relu', 'leaky_relu', 'elu', 'silu', 'softplus'])
def test_other_models_run_as_in_pytorch(open_page, tmp_path, activation):
    config = CVAEConfig(image_shape=(6, 5), num_classes=3, z_dim=2, encoder_layers=(7, 4), classifier_layers=(6,), decoder_layers=(5, 8, 9),
                        activation=activation, class_names=('a', '<b>', 'c & d'), init_seed=1)
    other = CVAE(config)
    other.save_pretrained(tmp_path)
    page = open_page({f'live/post/{name}': (tmp_path/name).read_bytes() for name in ('config.json', 'model.safetensors')})
    x,z = torch.rand(1, 6, 5), torch.randn(1, 2)
    found = explorer(page, 'Array.from(e.model.decode(a[0], [0, 1, 0]))', z[0].tolist())
    assert torch.allclose(torch.tensor(found), generate(other, [1], style=z).images.flatten(), atol=1e-5)
    probabilities,mean = explorer(page, '[Array.from(e.model.classify(a[0])), Array.from(e.model.encode(a[0]))]', x.flatten().tolist())
    expected = infer(other, x)
    assert torch.allclose(torch.tensor(probabilities), expected.probabilities[0], atol=1e-5)
    assert torch.allclose(torch.tensor(mean), expected.style[0], atol=1e-5)
    page.get_by_role('radio', name='c & d').check()
    page.locator('.pad canvas').click()
    assert read_as(page).startswith('Read as ')

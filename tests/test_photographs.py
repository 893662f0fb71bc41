"Photographs of a digit: found, refused, or answered with a notice."
import time

import numpy as np
import pytest
import torch
from PIL import Image

from cvae_nbdev.better import FlowCVAE
from cvae_nbdev.photographs import as_mnist,centred,find_digit,oddities
from cvae_nbdev.sampling import infer
from cvae_nbdev.sources import as_grey,load_images,read_picture,read_with_notice
from photographs import chosen,expected,harder,outcomes,render,sheet_of,to_refuse,tried

@pytest.fixture(scope='module')
def model(): return FlowCVAE.from_pretrained('best')

@pytest.fixture(scope='module')
def test_set(): return load_images('mnist', 'test')

@pytest.fixture(scope='module')
def digits(test_set):
    return test_set.images[chosen].numpy(), test_set.labels[chosen].tolist()

def counted(kinds, digits, model, n):
    counts = [tried(kind, *digits, model, n)[0] for kind in kinds]
    return {o: sum(count[o] for count in counts) for o in outcomes}

def test_most_photographs_are_read_and_none_is_wrong_in_silence(digits, model):
    count = counted([*expected, *harder], digits, model, 2)
    assert count['right'] >= 0.95*2*(len(expected) + len(harder)) and not count['of these nothing said'], count

def test_a_page_with_no_digit_or_two_is_refused(digits, model):
    count = counted(to_refuse, digits, model, 3)
    assert count['refused'] >= 0.9*3*len(to_refuse) and not count['of these nothing said'], count

def test_images_of_mnist_come_back_as_they_were(test_set):
    for image in test_set.images[:200]:
        assert (centred(image, (28, 28)).float() - image.float()).abs().max() < 5.1
        assert (centred(255 - image, (28, 28)).float() - image.float()).abs().max() < 5.1
    assert not any(find_digit(o).inverted for o in test_set.images[:200])

def in_many_formats(page, folder):
    "Files of one picture, in dark ink on light paper."
    grey,ink = np.asarray(page), Image.fromarray(255 - np.asarray(page))
    def path(name): return folder/name
    turned = Image.Exif()
    turned[274] = 6
    page.rotate(90, expand=True).save(path('turned.jpg'), exif=turned)
    page.convert('P').save(path('palette.png'))
    page.convert('RGB').quantize(4).save(path('four_colours.png'))
    page.convert('RGB').convert('CMYK').save(path('cmyk.jpg'))
    page.point(lambda o: 255*(o > 128)).convert('1', dither=Image.Dither.NONE).save(path('one_bit.tiff'))
    page.convert('1').save(path('dithered.png'))
    page.resize((4000, 3000)).save(path('large.jpg'))
    page.resize((3000, 4000)).save(path('large.png'), compress_level=1)
    page.crop((62, 54, 160, 152)).resize((28, 28), Image.Resampling.LANCZOS).save(path('small.png'))
    page.crop((62, 54, 160, 152)).resize((28, 28), Image.Resampling.LANCZOS).save(path('small.jpg'), quality=40)
    page.save(path('lossy.webp'), quality=20)
    page.save(path('first.gif'))
    Image.fromarray(grey.astype(np.uint16)*257).save(path('sixteen_bits.png'))
    Image.fromarray(grey.astype(np.float32)/255).save(path('floats.tiff'))
    for name,colour in (('black', 0), ('white', 255), ('blue', (40, 60, 200)), ('grey', 140)):
        mode = 'L' if isinstance(colour, int) else 'RGB'
        drawn = Image.new(mode, page.size, colour)
        drawn.putalpha(ink)
        drawn.save(path(f'{name}_on_nothing.png'))
    return sorted(folder.iterdir())

def test_every_format_is_read(test_set, model, tmp_path):
    label,image = test_set.labels[0].item(), test_set.images[0].numpy()
    for path in in_many_formats(sheet_of(image), tmp_path):
        start = time.monotonic()
        found,notice = read_with_notice(path, (28, 28), centre=True)
        read = infer(model, found)
        assert read.labels.item() == label and read.probs.max() > 0.9, path
        assert ('inverted' in notice) == (path.stem != 'white_on_nothing'), (path, notice)
        assert time.monotonic() - start < 10, path

def test_light_ink_on_nothing_lies_on_black():
    ink = Image.fromarray(np.eye(8, dtype=np.uint8)*255)
    for level,ground in ((0, 255), (100, 255), (255, 0), (200, 0)):
        assert as_grey(Image.merge('LA', (Image.new('L', (8, 8), level), ink))).getpixel((0, 7)) == ground
    opaque = Image.new('RGBA', (8, 8), 'white')
    opaque.putpixel((0, 0), (0, 0, 0, 0))  # a round corner of a white page
    assert as_grey(opaque).getpixel((0, 0)) == 255

def test_what_is_said(test_set, digits):
    image = test_set.images[0].numpy()
    page = np.asarray(sheet_of(image))
    assert find_digit(page)[1:] == (True, [])
    assert find_digit(page, invert=True)[1:] == (True, []) and find_digit(255 - page)[1:] == (False, [])
    cut = np.asarray(sheet_of(image, top=10, left=10, scale=6))[60:]
    assert find_digit(cut).doubts == ['the digit is cut off by the edge of the picture']
    small,large = (sheet_of(test_set.images[i].numpy(), (300, 300), **o) for i,o in ((1, dict(left=5, top=5, scale=2)), (0, dict(left=120, top=100, scale=5))))
    def refusal(x):
        with pytest.raises(ValueError) as e: find_digit(x)
        return str(e.value)
    pair = np.minimum(sheet_of(image, left=10), sheet_of(test_set.images[1].numpy(), left=110))
    assert refusal(pair) == 'shows 2 digits or more'
    for grey in (0, 10, 200, 255):
        for side in (28, 100, 300): assert refusal(np.full((side, side), grey, np.uint8)) == 'shows no ink'
    assert 'the picture shows more than this digit' in find_digit(np.minimum(small, large)).doubts
    with pytest.raises(ValueError, match='shows no ink'): find_digit(page, invert=False)

def test_an_image_that_was_not_centred_is_found_odd(test_set):
    image = test_set.images[0]
    small = torch.zeros_like(image)
    small[7:21, 7:21] = image[::2, ::2]
    odd = {'darker than its ground': 255 - image, 'faint': image//3, 'long': small, 'not in the middle': image.roll(6, 1), 'no ink': 0*image}
    for word,o in odd.items(): assert len(oddities(o)) == 1 and word in oddities(o)[0]
    assert sum(oddities(o) != [] for o in test_set.images[:2000]) < 10

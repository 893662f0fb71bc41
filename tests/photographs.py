"Digits of MNIST as people photograph, scan or draw them: one function, many kinds of pictures."
import io

import numpy as np
from PIL import Image,ImageFilter

Resampling,blur = Image.Resampling,ImageFilter.GaussianBlur

def stroke(digit, size, pen=None):
    "How much ink lies where, `[size, size]` in [0, 1]; pen: the width of the line in pixels, None: as the digit has it."
    x = np.asarray(Image.fromarray(digit).resize((280, 280), Resampling.BICUBIC).filter(blur(5)), np.float32)/255
    if pen is None: x = np.clip((x - 0.35)/0.2, 0, 1)
    else: # a line along the middle of the stroke
        def around(x, of): return of([np.roll(x, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)], 0)
        inside = left = x > 0.45
        depth = np.zeros(x.shape, np.float32)
        while left.any(): depth,left = depth + left, around(left, np.min)
        ridge = Image.fromarray((255*(inside & (depth >= around(depth, np.max)))).astype(np.uint8))
        width = max(1, round(pen*280/size)//2*2 + 1)
        x = np.asarray(ridge.filter(ImageFilter.MaxFilter(width)).filter(blur(1)), np.float32)/255
    return np.asarray(Image.fromarray(x).resize((size, size), Resampling.BICUBIC)).clip(0, 1)

def clouds(rng, cells, side):
    "Smooth noise of deviation 1, `[side, side]`."
    return np.asarray(Image.fromarray(rng.normal(0, 1, (cells, cells)).astype(np.float32)).resize((side, side), Resampling.BICUBIC))

def as_picture(x): return Image.fromarray(x.clip(0, 255).astype(np.uint8))

def on_desk(x, desk, other, torn, rng):
    "A sheet `[n, n, 3]` that lies, turned a little, on a desk of one colour or of two."
    n = len(x)
    whole = np.ones((n, n, 3), np.float32)*desk
    if other: whole[:, n//3:] = other
    whole = as_picture(whole + 6*clouds(rng, 40, n)[..., None])
    sheet = as_picture(x).resize((round(n*.66),)*2, Resampling.LANCZOS).convert('RGBA')
    if torn: # along its lower edge
        m = sheet.height
        edge = m*(0.93 + 0.02*np.interp(np.arange(m), np.linspace(0, m, 40), rng.normal(0, 1, 40)))
        sheet.putalpha(as_picture(255.*(np.arange(m)[:, None] < edge)))
    sheet = sheet.rotate(rng.uniform(-8, 8), expand=True, resample=Resampling.BICUBIC)
    whole.paste(sheet, (round(n*.14), round(n*.15)), sheet)
    return np.asarray(whole, np.float32)

def photograph(
    digit, seed, paper=(240, 238, 230), ink=(30, 30, 36), pen=None, scale=0.45, place=None, second=None, gap=0.9, # what is drawn
    texture=0, specks=0, dust=0, box=False, lines=None, fold=0, crumpled=0, holes=False,                          # on which paper
    desk=None, other=None, torn=False, light=0, vignette=0, shadow=0, finger=False, glare=0, moire=0,             # in which light
    turn=0, tilt=0, defocus=0, grain=3, jpeg=90, size=400, invert=False,                                          # and how it is taken
):
    "A picture of mode RGB; scale: of the digit's frame beside the picture; light, shadow: the share of the light that is lost."
    rng,n = np.random.default_rng(seed), size
    yy,xx = np.mgrid[:n, :n]/n
    def across(): # from 0 to 1 in some direction
        a = rng.uniform(0, 2*np.pi)
        return (np.cos(a)*(xx - .5) + np.sin(a)*(yy - .5))/1.2 + .5
    mask = np.zeros((n, n), np.float32)
    def put(digit, x, y):
        s = round(n*scale)
        top,left = round(y*n - s/2), round(x*n - s/2)
        a,b,c,d = max(top, 0), max(left, 0), min(top + s, n), min(left + s, n)
        mask[a:c, b:d] = np.maximum(mask[a:c, b:d], stroke(digit, s, pen)[a - top:c - top, b - left:d - left])
    x,y = place or 0.5 + rng.uniform(-.12, .12, 2)
    if second is not None: put(second, x + scale*gap/2, y)
    put(digit, x if second is None else x - scale*gap/2, y)
    colour = np.ones((n, n, 3), np.float32)*paper
    if lines:
        kind,pitch,width,line = lines
        where = yy % pitch < width/n
        if kind == 'squares': where |= xx % pitch < width/n
        if kind == 'margin': where |= abs(xx - 0.1) < width/n
        colour[where] = line
    if holes:
        for y in (.2, .8): colour[(xx - .04)**2 + (yy - y)**2 < .02**2] = 60
    for k in range(specks): # the size of a full stop
        (x,y),r = rng.uniform(.03, .97, 2), rng.uniform(.003, .006)
        mask[(xx - x)**2 + (yy - y)**2 < r*r] = 1
    for k in range(dust): mask[rng.integers(n), rng.integers(n)] = rng.uniform(0.3, 1)
    if box:
        near = np.maximum(abs(xx - .5), abs(yy - .5))
        mask[abs(near - .43) < .006] = 1
    density = mask[..., None]
    if texture: density = density*np.clip(1 + texture*clouds(rng, n//3, n), 0.25, 1)[..., None]
    x = colour*(1 - density) + np.array(ink, np.float32)*density
    if desk: x = on_desk(x, desk, other, torn, rng)
    if fold: x = x*(1 - fold*np.exp(-((xx + .2*yy - .35)/.006)**2)[..., None])
    if crumpled: x = x*(1 + crumpled*clouds(rng, 8, n))[..., None]
    if light: x = x*(1 - light*across().clip(0, 1)**1.5)[..., None]
    if vignette: x = x*(1 - vignette*2*((xx - .5)**2 + (yy - .5)**2))[..., None]
    if shadow: x = x*(1 - shadow/(1 + np.exp(-(1.2*(across() - .5) - rng.uniform(-.2, .2))/.008)))[..., None]
    if finger: # over a corner
        skin = 1/(1 + np.exp((np.hypot(xx - 1.03, yy - 1.03) - .17)/.008))[..., None]
        x = x*(1 - skin) + np.array((196, 140, 115))*skin
    if glare: x = x + 255*glare*np.exp(-((xx - .8)**2 + (yy - .2)**2)/.02)[..., None]
    if moire: x = x*(1 + moire*np.sin(2*np.pi*(60*xx + 7*yy))*np.sin(2*np.pi*(53*yy - 5*xx)))[..., None]
    picture = as_picture(255 - x if invert else x)
    around = tuple(int(o) for o in np.median(np.asarray(picture).reshape(-1, 3), 0))
    if turn: picture = picture.rotate(rng.choice([-1, 1])*turn, fillcolor=around, resample=Resampling.BICUBIC)
    if tilt:
        t = tilt*n
        picture = picture.transform((n, n), Image.Transform.QUAD, (t, t/2, 0, n, n, n, n - t/2, 0), Resampling.BICUBIC)
    if defocus: picture = picture.filter(blur(defocus))
    picture = as_picture(np.asarray(picture, np.float32) + grain*rng.normal(0, 1, (n, n, 1)))
    if not jpeg: return picture
    file = io.BytesIO()
    picture.save(file, 'JPEG', quality=jpeg)
    return Image.open(file)

blue,red,green,pencil,faint = (40, 60, 160), (190, 40, 40), (30, 120, 60), (120, 120, 122), (190, 190, 192)
pale,grid,wood,white,black = (150, 180, 220), (170, 200, 220), (70, 50, 42), (255, 255, 255), (0, 0, 0)
scan = dict(paper=white, ink=black, grain=0, jpeg=None)
ruled,squared = ('lines', .1, 3, pale), ('squares', .05, 2, grid)

expected = { # kinds that a person would expect to be read
    'clean scan': scan, 'black pen': {}, 'blue pen': dict(ink=blue), 'red pen': dict(ink=red), 'green pen': dict(ink=green),
    'pencil': dict(ink=pencil, pen=4, texture=.3), 'faint pencil': dict(ink=faint, pen=5, grain=2),
    'thin pen': dict(ink=blue, pen=2), 'thin pen, uneven light': dict(ink=blue, pen=2, light=.3), 'felt pen': dict(pen=11),
    'yellow paper': dict(paper=(250, 235, 150)), 'grey paper': dict(paper=(150, 150, 150)), 'blue paper': dict(paper=(120, 160, 210)),
    'brown paper': dict(paper=(180, 140, 100)),
    'light falls off by 15 %': dict(light=.15), 'light falls off by 30 %': dict(light=.3), 'light falls off by 50 %': dict(light=.5),
    'vignette': dict(vignette=.5), 'edge of a shadow 20 %': dict(shadow=.2), 'edge of a shadow 35 %': dict(shadow=.35),
    'edge of a shadow 50 %': dict(shadow=.5), 'pencil in a shadow': dict(ink=pencil, pen=4, shadow=.35),
    'lined paper': dict(lines=ruled), 'lined paper, turned': dict(lines=ruled, turn=4),
    'lined paper, blue pen': dict(lines=('margin', .08, 3, pale), ink=blue, pen=4),
    'squared paper': dict(lines=squared), 'squared paper, blue pen': dict(lines=squared, ink=blue, pen=4),
    'squared paper, light': dict(lines=squared, light=.3), 'dark lines': dict(lines=('lines', .12, 2, (110, 110, 120))),
    'sheet on a dark desk': dict(desk=wood), 'sheet on a brown desk': dict(desk=(160, 120, 80)),
    'sheet on a desk, light': dict(desk=wood, light=.3),
    'close crop': dict(scale=1.15, place=(.5, .5)), 'very close crop': dict(scale=1.35, place=(.5, .5)), 'small': dict(scale=.2),
    'very small': dict(scale=.1, grain=2), 'in a corner': dict(scale=.3, place=(.18, .2)),
    'turned by 5': dict(turn=5), 'turned by 10': dict(turn=10), 'perspective': dict(tilt=.08),
    'blurred': dict(defocus=3), 'very blurred': dict(defocus=6), 'grainy': dict(grain=10), 'very grainy': dict(grain=20),
    'JPEG 15': dict(jpeg=15), 'JPEG 5': dict(jpeg=5), 'a speck': dict(specks=1), 'five specks': dict(specks=5),
    'dust': dict(scan, dust=25, ink=(30, 30, 36)), 'a fold': dict(fold=.25),
    'chalk on a board': dict(invert=True, ink=(40, 40, 36), paper=(215, 220, 210), texture=.3, light=.2),
    'white on black': dict(scan, invert=True), 'in a box': dict(box=True),
    'telephone': dict(light=.3, shadow=.2, tilt=.05, defocus=1.5, grain=6, jpeg=60, ink=blue, pen=5, size=700),
    'telephone, far': dict(light=.3, tilt=.05, defocus=1.5, grain=6, jpeg=60, scale=.15, size=900, specks=2),
}
harder = { # tried when the rules were done
    'light blue ink': dict(ink=(150, 190, 240), pen=7), 'yellow marker': dict(ink=(235, 215, 60), pen=12, paper=white),
    'bold squares': dict(lines=('squares', .08, 4, (120, 150, 190)), pen=8), 'moire': dict(moire=.08, ink=blue),
    'a finger': dict(finger=True), 'torn sheet': dict(desk=wood, torn=True), 'desk of two colours': dict(desk=wood, other=(200, 170, 130)),
    'light desk': dict(desk=(205, 200, 190)), 'crumpled': dict(crumpled=.06, light=.2), 'glare': dict(glare=.5, paper=(200, 200, 205)),
    'punched holes': dict(holes=True, lines=ruled), 'pastel on black': dict(paper=(70, 40, 120), invert=True, texture=.4),
    'red on kraft': dict(paper=(170, 130, 90), ink=red, grain=8), 'telephone, lined': dict(lines=ruled, light=.3, tilt=.05, defocus=1.5, grain=6, jpeg=60, ink=blue, pen=4, size=700),
    'sheet on a desk, lined': dict(desk=wood, lines=ruled, pen=7, ink=blue), 'pencil on squares': dict(ink=pencil, pen=5, lines=squared, light=.2),
}
to_refuse = { # no digit, or more than one
    'two digits': dict(second=True, scale=.4), 'two digits, close': dict(second=True, scale=.4, gap=.75), 'blank': dict(none=True),
    'blank, uneven light': dict(none=True, light=.3), 'blank, shadow': dict(none=True, shadow=.35),
    'blank, lined': dict(none=True, lines=ruled), 'blank, sheet on a desk': dict(none=True, desk=wood), 'blank, specks': dict(none=True, specks=5),
}
kinds = expected | harder | to_refuse

def render(kind, digits, i):
    "The picture of a kind of the i-th of some digits, uint8 `[N, 28, 28]`."
    options = dict(kinds[kind])
    digit = digits[i]*(not options.pop('none', False))
    if options.pop('second', False): options['second'] = digits[(i + 1) % len(digits)]
    return photograph(digit, 1000 + i, **options)

def sheet_of(image, shape=(200, 200), top=60, left=70, scale=3):
    "Black ink on white paper, uint8 `shape`."
    page = np.zeros(shape, np.uint8)
    h,w = (scale*o for o in image.shape)
    page[top:top + h, left:left + w] = Image.fromarray(image).resize((w, h), Resampling.BICUBIC)
    return Image.fromarray(255 - page)

# three test digits of each class that can be told in any pen, in random order
chosen = [14, 44, 22, 52, 31, 13, 43, 134, 58, 27, 54, 128, 26, 28, 50, 29, 36, 38, 51, 34, 32, 16, 23, 45, 47, 25, 24, 110, 19, 12]

outcomes = ('right', 'refused', 'wrong', 'wrong above 0.9', 'of these nothing said')

def tried(kind, digits, labels, model, n):
    "How many of n pictures of a kind were read how, by the names of `outcomes`, and as a list of (i, what was said)."
    from cvae_nbdev.photographs import as_mnist,find_digit
    from cvae_nbdev.sampling import infer
    from cvae_nbdev.scores import doubts,score
    from cvae_nbdev.sources import as_grey
    count,why = dict.fromkeys(outcomes, 0), []
    for i in range(n):
        try: found = find_digit(np.array(as_grey(render(kind, digits, i))))
        except ValueError as e:
            count['refused'] += 1
            why.append((i, str(e)))
            continue
        image = as_mnist(found.ink, (28, 28))
        read = infer(model, image)
        label,sure,said = read.labels.item(), read.probs.max().item() > 0.9, [*found.doubts, *filter(None, doubts(model, score(model, image)))]
        wrong = kind in to_refuse or label != labels[i]
        for name,o in zip(outcomes, (not wrong, False, wrong, wrong and sure, wrong and sure and not said)): count[name] += o
        if wrong: why.append((i, f'{label} {read.probs.max():.2f} {said}'))
    return count,why

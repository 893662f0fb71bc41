"""Draws the diagrams of the tutorial, nbs/images/*.svg. Run it at the top level.

The ground is transparent, and all text stands in a shape that is filled, so that it is as legible on a dark page as on a light one.
"""
from pathlib import Path

colors = {'network': '#2f6db3', 'number': '#5a6069', 'loss': '#8a3a78', 'stop': '#a33a3a'}
line_color,gradient_color = '#8a9099', '#d9730d'

class Drawing:
    "Boxes by name, and arrows between them."
    def __init__(self, width, height):
        self.width,self.height,self.boxes,self.parts = width, height, {}, []

    def box(self, name, x, y, text, kind='number', width=104, height=40):
        "A filled box with its center at x and y: networks have corners, all else is round."
        self.boxes[name] = x, y, width/2, height/2
        radius = 5 if kind == 'network' else height/2
        self.parts.append(
            f'<rect x="{x - width/2:g}" y="{y - height/2:g}" width="{width}" height="{height}" rx="{radius:g}" '
            f'fill="{colors[kind]}"/><text x="{x}" y="{y + 5}" fill="#fff">{text}</text>')

    def arrow(self, start, end, gradient=False, leave=None, reach=None):
        "An arrow from box to box: sideways where they do not stand above one another, or by the sides that are given."
        x0,y0,w0,h0 = self.boxes[start]
        x1,y1,w1,h1 = self.boxes[end]
        above = abs(x1 - x0) < min(w0, w1)
        sides = {'left': (-1, 0), 'right': (1, 0), 'up': (0, -1), 'down': (0, 1)}
        usual = ('down' if y1 > y0 else 'up') if above else ('right' if x1 > x0 else 'left')
        opposite = {'left': 'right', 'right': 'left', 'up': 'down', 'down': 'up'}
        dx0,dy0 = sides[leave or usual]
        dx1,dy1 = sides[reach or opposite[usual]]
        shift = 9 if gradient else 0                       # beside the arrow that it runs against
        xa,ya = x0 + dx0*w0 + shift*abs(dy0), y0 + dy0*h0 + shift*abs(dx0)
        xb,yb = x1 + dx1*(w1 + 4) + shift*abs(dy1), y1 + dy1*(h1 + 4) + shift*abs(dx1)
        bend = max(abs(xb - xa), abs(yb - ya))*0.45
        path = f'M{xa:g} {ya:g} C{xa + dx0*bend:g} {ya + dy0*bend:g} {xb + dx1*bend:g} {yb + dy1*bend:g} {xb:g} {yb:g}'
        color,dash = (gradient_color, ' stroke-dasharray="6 4"') if gradient else (line_color, '')
        head = 'gradient' if gradient else 'line'
        self.parts.append(f'<path d="{path}" fill="none" stroke="{color}" stroke-width="2.2"{dash} marker-end="url(#{head})"/>')

    def arrows(self, *names, **kwargs):
        "One after another through boxes."
        for start,end in zip(names, names[1:]): self.arrow(start, end, **kwargs)

    def svg(self):
        heads = ''.join(
            f'<marker id="{name}" viewBox="0 0 10 10" refX="7" refY="5" markerWidth="6" markerHeight="6" orient="auto">'
            f'<path d="M0 0 10 5 0 10z" fill="{color}"/></marker>'
            for name,color in (('line', line_color), ('gradient', gradient_color)))
        body = '\n'.join(self.parts)
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" width="{self.width}" '
                f'font-family="system-ui, sans-serif" font-size="15" text-anchor="middle">\n'
                f'<defs>{heads}</defs>\n{body}\n</svg>\n')

def training():
    d = Drawing(800, 316)
    d.box('x', 50, 150, 'image x', width=84)
    d.box('encoder', 178, 92, 'encoder', 'network')
    d.box('posterior', 312, 92, 'mean, s²')
    d.box('noise', 446, 22, 'noise ε')
    d.box('z', 446, 92, 'z', width=60)
    d.box('classifier', 178, 208, 'classifier', 'network')
    d.box('logits', 312, 208, 'logits')
    d.box('probs', 446, 208, 'probabilities', width=116)
    d.box('decoder', 590, 150, 'decoder', 'network')
    d.box('drawn', 730, 150, 'mean image')
    d.box('kl', 312, 22, 'KL', 'loss')
    d.box('reconstruction', 730, 66, 'reconstruction', 'loss', width=124)
    d.box('digit loss', 312, 288, 'digit loss', 'loss')
    d.box('label', 178, 288, 'label y')
    d.arrow('x', 'encoder', leave='up')
    d.arrow('x', 'classifier', leave='down')
    d.arrows('encoder', 'posterior', 'z')
    d.arrows('classifier', 'logits', 'probs')
    for o in ('z', 'probs'): d.arrow(o, 'decoder')
    d.arrow('noise', 'z')
    d.arrows('decoder', 'drawn', 'reconstruction')
    d.arrow('posterior', 'kl')
    d.arrow('logits', 'digit loss')
    d.arrow('label', 'digit loss')
    return d

def reading():
    d = Drawing(800, 160)
    d.box('x', 60, 80, 'image x', width=84)
    d.box('encoder', 210, 28, 'encoder', 'network')
    d.box('posterior', 370, 28, 'mean, s²')
    d.box('style', 560, 28, 'style: the mean', width=150)
    d.box('classifier', 210, 132, 'classifier', 'network')
    d.box('logits', 370, 132, 'logits')
    d.box('probs', 560, 132, 'probabilities', width=150)
    d.box('digit', 730, 132, 'digit', width=84)
    d.arrow('x', 'encoder', leave='up')
    d.arrow('x', 'classifier', leave='down')
    d.arrows('encoder', 'posterior', 'style')
    d.arrows('classifier', 'logits', 'probs', 'digit')
    return d

def generating():
    d = Drawing(800, 160)
    d.box('style', 130, 28, 'style, from N(0, I) or chosen', width=240)
    d.box('digit', 130, 132, 'digit asked for, one-hot', width=240)
    d.box('decoder', 420, 80, 'decoder', 'network')
    d.box('drawn', 620, 80, 'mean image')
    for o in ('style', 'digit'): d.arrow(o, 'decoder')
    d.arrow('decoder', 'drawn')
    return d

def reparameterization():
    d = Drawing(800, 268)
    for y,route in ((40, 'drawn'), (156, 'trick')):
        d.box(f'{route} encoder', 70, y, 'encoder', 'network')
        d.box(f'{route} posterior', 222, y, 'mean, s')
        kind,text = ('stop', 'draw z from q') if route == 'drawn' else ('number', 'z = mean + s ε')
        d.box(f'{route} z', 402, y, text, kind, width=136)
        d.box(f'{route} decoder', 574, y, 'decoder', 'network')
        d.box(f'{route} loss', 730, y, 'loss', 'loss', width=84)
        d.arrows(*(f'{route} {o}' for o in ('encoder', 'posterior', 'z', 'decoder', 'loss')))
        back = ('loss', 'decoder', 'z') if route == 'drawn' else ('loss', 'decoder', 'z', 'posterior', 'encoder')
        d.arrows(*(f'{route} {o}' for o in back), gradient=True)
    d.box('noise', 402, 240, 'noise ε')
    d.arrow('noise', 'trick z')
    return d

def coupling():
    d = Drawing(800, 256)
    d.box('z', 50, 104, 'z', width=60)
    d.box('a', 172, 32, 'half a', width=84)
    d.box('digit', 172, 104, 'digit y', width=84)
    d.box('b', 172, 176, 'half b', width=84)
    d.box('network', 332, 104, 'small network', 'network', width=124)
    d.box('kept', 510, 32, 'a, unchanged', width=164)
    d.box('moved', 510, 176, 'b\u2032 = b · exp(s) + t', width=164)
    d.box('style', 712, 104, '(a, b\u2032), reversed', width=150)
    d.arrow('z', 'a', leave='up', reach='left')
    d.arrow('z', 'b', leave='down', reach='left')
    d.arrow('digit', 'network')
    d.arrow('a', 'network', leave='right', reach='up')
    d.arrow('a', 'kept')
    d.arrow('network', 'moved', leave='right', reach='up')
    d.arrow('b', 'moved')
    for o in ('kept', 'moved'): d.arrow(o, 'style')
    d.box('forward', 208, 234, 'from z to the style: log |det| = sum of s  \u2192', width=350)
    d.box('inverse', 600, 234, '\u2190  from the style to z: b = (b\u2032 \u2212 t) · exp(\u2212s)', width=380)
    return d

if __name__ == '__main__':
    for name,draw in (('model_training', training), ('model_reading', reading), ('model_generating', generating),
                      ('reparameterization', reparameterization), ('coupling', coupling)):
        Path(f'nbs/images/{name}.svg').write_text(draw().svg(), encoding='utf-8')

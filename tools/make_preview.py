"Makes nbs/images/preview.png, the picture that stands for the site where somebody links to it: digits of the bundled model. Run it at the top level."
from cvae_nbdev import CVAE,generate
from cvae_nbdev.core import figure_png,new_figure
from cvae_nbdev.data import mosaic
from cvae_nbdev.sampling import random_styles

def preview():
    "A figure of 1200 by 630 pixels, as large as social networks show one: each row is one style, each column a digit."
    model = CVAE.from_pretrained('best')
    images = generate(model, style=random_styles(model, 4, seed=11)).images # digit by digit
    figure = new_figure(10, 5.25) # inches of 120 pixels
    figure.set(facecolor='black', layout_engine='none')
    ax = figure.add_axes((0.04, 0.04, 0.92, 0.70))
    ax.imshow(mosaic(images.unflatten(0, (10, 4)).transpose(0, 1)), cmap='gray', vmin=0, vmax=1)
    ax.axis('off')
    figure.text(0.5, 0.89, 'cvae_nbdev', color='white', size=33, ha='center', va='center')
    figure.text(0.5, 0.79, 'Each row is one style, each column the digit asked for. All are drawn by the model.', color='#cccccc',
                size=14, ha='center', va='center')
    return figure

if __name__ == '__main__':
    with open('nbs/images/preview.png', 'wb') as file: file.write(figure_png(preview()))

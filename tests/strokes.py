"Handwriting from an image: the path of a pen along the middle of the ink."
import numpy as np
from skimage.morphology import skeletonize

def pen_paths(
    image, # float `[H, W]` in [0, 1]
):         # a list for each connected part, of (x, y) in pixels; the pen goes back where it meets an end
    "Paths that run through the middle line of the ink."
    middle = {(int(x), int(y)) for y,x in np.argwhere(skeletonize(np.asarray(image) > 0.5))}
    def neighbours(p): # straight ones first, so that no corner is cut
        near = [q for q in middle if max(abs(q[0] - p[0]), abs(q[1] - p[1])) == 1]
        return sorted(near, key=lambda q: (abs(q[0] - p[0]) + abs(q[1] - p[1]), q))
    paths,seen = [], set()
    def follow(p):
        seen.add(p)
        paths[-1].append((p[0] + 0.5, p[1] + 0.5))
        for q in neighbours(p):
            if q in seen: continue
            follow(q)
            paths[-1].append((p[0] + 0.5, p[1] + 0.5))
    for start in sorted(middle, key=lambda p: (len(neighbours(p)), p)): # from an end, if there is one
        if start not in seen:
            paths.append([])
            follow(start)
    return paths

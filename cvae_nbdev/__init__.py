__version__ = "0.1.0"

import os

# On a busy machine, threads that wait for one another should sleep soon, and not keep the core that the other one needs.
# OpenMP reads this when torch loads it; 25_speed.ipynb measures what it is worth.
if hasattr(os, 'getloadavg') and os.getloadavg()[0] > (os.cpu_count() or 1)/2: os.environ.setdefault('GOMP_SPINCOUNT', '300')

# The names that users call, and the modules that they come from. A module is imported when the first of its names is
# used (PEP 562), so that a command or `import cvae_nbdev` does not wait for what it does not need.
_homes = {
    'CVAE': 'model', 'CVAEConfig': 'model',
    'ImageSet': 'data', 'show_grid': 'data', 'load_images': 'sources',
    'TrainConfig': 'training', 'fit': 'training', 'load_run': 'training', 'sweep': 'sweeps',
    'generate': 'sampling', 'infer': 'sampling', 'reconstruct': 'sampling', 'restyle': 'sampling',
    'interpolate': 'sampling', 'traverse': 'sampling',
    'evaluate': 'evaluation',
    'explore': 'widgets', 'restyle_explorer': 'widgets', 'train_live': 'widgets',
}
__all__ = list(_homes)

def __getattr__(name):
    if name not in _homes: raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from importlib import import_module
    value = getattr(import_module(f'{__name__}.{_homes[name]}'), name)
    globals()[name] = value # from now on without this detour
    return value

def __dir__(): return sorted([*globals(), *_homes])

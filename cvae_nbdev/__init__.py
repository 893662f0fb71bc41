__version__ = "0.1.0"

from typing import TYPE_CHECKING

if TYPE_CHECKING: # type checkers do not follow __getattr__
    from .better import FlowCVAE,presets
    from .data import ImageSet,show_grid
    from .evaluation import evaluate
    from .judge import Judge
    from .model import CVAE,CVAEConfig
    from .runs import fit,load_run
    from .sampling import generate,infer,interpolate,reconstruct,restyle,traverse
    from .scores import score
    from .sources import load_images
    from .sweeps import grid,sweep
    from .training import History,Recipe,TrainConfig,Trainer,plot_losses,plot_samples
    from .widgets import explore,restyle_explorer,train_live

# The names that users call, and the modules that they come from. A module is imported when the first of its names is
# used (PEP 562), so that a command or `import cvae_nbdev` does not wait for what it does not need.
_homes = {
    'better': ('FlowCVAE', 'presets'), 'data': ('ImageSet', 'show_grid'), 'evaluation': ('evaluate',), 'judge': ('Judge',),
    'model': ('CVAE', 'CVAEConfig'), 'runs': ('fit', 'load_run'),
    'sampling': ('generate', 'infer', 'interpolate', 'reconstruct', 'restyle', 'traverse'),
    'scores': ('score',), 'sources': ('load_images',), 'sweeps': ('grid', 'sweep'),
    'training': ('History', 'Recipe', 'TrainConfig', 'Trainer', 'plot_losses', 'plot_samples'),
    'widgets': ('explore', 'restyle_explorer', 'train_live'),
}
__all__ = ['CVAE', 'CVAEConfig', 'FlowCVAE', 'History', 'ImageSet', 'Judge', 'Recipe', 'TrainConfig', 'Trainer', 'evaluate',
           'explore', 'fit', 'generate', 'grid', 'infer', 'interpolate', 'load_images', 'load_run', 'plot_losses',
           'plot_samples', 'presets', 'reconstruct', 'restyle', 'restyle_explorer', 'score', 'show_grid', 'sweep',
           'train_live', 'traverse']

def __getattr__(name):
    home = next((module for module,names in _homes.items() if name in names), None)
    if home is None: raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from importlib import import_module
    value = getattr(import_module(f'{__name__}.{home}'), name)
    globals()[name] = value # from now on without this detour
    return value

def __dir__(): return sorted([*globals(), *__all__])

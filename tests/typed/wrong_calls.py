"Each line is wrong, and a type checker must say so."
from cvae_nbdev import *

model = CVAE.from_pretrained()
generate(model, labls=[3])
fit(CVAE(), 5, 'x')
CVAEConfig(zdim=3)
generate('post')
CVAE.from_pretrained('post', devise='cpu')

"""Training: recipes, corpora, starting weights, the training loop, distillation and growth."""

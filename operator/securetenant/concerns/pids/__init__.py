"""How many processes a pod may have: what kubelets say, and the labels that repeat it."""

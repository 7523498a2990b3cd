"""Few-shot quality prediction on unseen distortions of unseen photographs, method beside method."""

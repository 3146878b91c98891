"""Models: what to load (``spec``), chats to ids (``chat``), the prefix tree (``tree``), and the models themselves."""

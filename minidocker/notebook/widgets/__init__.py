"""Widgets: a picture and what moves it. The state is the engine's, the drawing is a function of `pictures/`.

Each is a `face.Faced`: where no kernel runs (a committed notebook, an HTML export, GitHub), its still face is shown.
"""

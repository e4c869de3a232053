"The chapters and the primer; setup.py installs them as the package data of gpt_scratch.chapters."

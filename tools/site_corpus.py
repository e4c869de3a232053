"""Put tinyshakespeare among the files of the site: python tools/site_corpus.py [FOLDER]

The page beyond/tab trains on it in the browser, and the repository doesn't hold it. Quarto runs this before it renders, in its project's folder
(`pre-render` in _quarto.yml), so `nbdev_docs` needs nothing else; build_site.py calls `write`. Without a corpus the site is built all the same,
and the page says how to get one.
"""
import os, sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from gpt_scratch.toolbox.corpus import CorpusError, tinyshakespeare


def write(folder):
    "Write FOLDER/corpus/tinyshakespeare.txt, or say why not."
    try: text = tinyshakespeare()
    except CorpusError as error: return print(f"the site is built without Shakespeare: {error}", file=sys.stderr)
    path = Path(folder)/"corpus"/"tinyshakespeare.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


if __name__ == "__main__": write(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("QUARTO_PROJECT_DIR", "."))

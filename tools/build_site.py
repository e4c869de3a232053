"""Build the site without Quarto, and check it: python tools/build_site.py   (writes _docs/)

The published site is Quarto's (nbdev_docs). This build needs only pip: nbdev prepares the notebooks as it does for Quarto,
smalldocs renders them, formulas become MathML. It is how CI proves that every page builds and every link holds.
"""
import os

from latex2mathml.converter import convert
from nbdev.config import get_config
from nbdev.doclinks import _build_modidx
from nbdev.quarto import refresh_quarto_yml
from nbdev.serve import proc_nbs
from smalldocs import markdown
from smalldocs.config import load
from smalldocs.site import Site

import check_site, site_corpus
from gpt_scratch.toolbox.learn import write_copies


class CourseSite(Site):
    "smalldocs, with the page names that nbdev chooses (`03_attention.ipynb` is `attention.html`) and formulas that need no script."
    def read(self, src):
        page = super().read(src)
        if "output-file" in page.front: page.out = page.out.with_name(page.front["output-file"])
        return page

    def find_page(self, target): return next((p for p in self.pages.values() if p.out == target), None) or super().find_page(target)

    def render_page(self, page):
        super().render_page(page)
        page.env["math"] = False # or smalldocs would load KaTeX from another host


def mathml(tex, options): return convert(tex, display="block" if options.get("display_mode") else "inline")


def main():
    cfg = get_config()
    root = cfg.config_path
    refresh_quarto_yml()
    _build_modidx()
    os.chdir(cfg.nbs_path)
    proc_nbs(path=".", force=True)
    markdown.math_renderer = mathml
    project = load(root / "_proc")
    project.config["format"]["html"]["theme"] = {"light": "default", "dark": "slate"} # smalldocs reads no Sass
    site = CourseSite(project, quiet=True)
    site.out = cfg.doc_path
    pages = site.build()
    os.chdir(root)
    write_copies(cfg.doc_path / "learner", pictures=False)
    site_corpus.write(cfg.doc_path)
    print(f"{pages} pages built in {cfg.doc_path.name}")
    check_site.main()


if __name__ == "__main__": main()

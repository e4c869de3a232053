"Package gpt_scratch; everything that describes it is read from settings.ini."
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

config = ConfigParser(delimiters=["="])
config.read(Path(__file__).parent / "settings.ini", encoding="utf-8")
cfg = config["DEFAULT"]
minors = range(*(int(cfg[key].split(".")[1]) + i for i, key in enumerate(("min_python", "max_python"))))
suffix = "_requirements"

setup(
    name=cfg["lib_name"],
    version=cfg["version"],
    description=cfg["description"],
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author=cfg["author"],
    license=cfg["license"],
    url=cfg["git_url"],
    project_urls={"Documentation": cfg["doc_host"] + cfg["doc_baseurl"]},
    keywords=cfg["keywords"].split(),
    classifiers=[
        "Development Status :: " + cfg["status"],
        "Intended Audience :: " + cfg["audience"],
        "Natural Language :: " + cfg["language"],
        *(f"Programming Language :: Python :: 3.{minor}" for minor in minors),
    ],
    python_requires=">=" + cfg["min_python"],
    install_requires=cfg["requirements"].split(),
    extras_require={key[: -len(suffix)]: cfg[key].split() for key in cfg if key.endswith(suffix)},
    entry_points={
        "console_scripts": cfg["console_scripts"].split(),
        "nbdev": [f"{cfg['lib_name']}={cfg['lib_name']}._modidx:d"],
    },
    # The chapters, the primer and the lessons that the zoo tests travel with the wheel, straight from nbs/: no copy of them is committed.
    packages=[*find_packages(include=["gpt_scratch", "gpt_scratch.*"]), "gpt_scratch.chapters"],
    package_dir={"gpt_scratch.chapters": "nbs"},
    package_data={"gpt_scratch": ["weights/*/*", "toolbox/*.json"], "gpt_scratch.chapters": ["0*.ipynb", "primer/*.ipynb", "beyond/bytepairs.ipynb", "beyond/newer.ipynb", "beyond/obeying.ipynb", "live/*", "images/*.svg"]},
    include_package_data=False,
    zip_safe=False,
)

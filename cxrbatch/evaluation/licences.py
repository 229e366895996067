"""Where the public collections come from, under which licence, and whom to cite."""

from collections.abc import Mapping

DATA_LICENCES: Mapping[tuple[str, ...], str] = {
    ("ieee8023",): """\
* **covid-chestxray-dataset** (ieee8023). Licence per image, many CC BY-NC-SA 4.0. J. P. Cohen, P. Morrison, L. Dao,
  K. Roth, T. Q. Duong, M. Ghassemi: COVID-19 Image Data Collection: Prospective Predictions Are the Future,
  arXiv:2006.11988, 2020.
""",
    ("kaggle",): """\
* **Chest X-Ray Images (Pneumonia)** (Kaggle, paultimothymooney/chest-xray-pneumonia). CC BY 4.0. D. Kermany,
  K. Zhang, M. Goldbaum: Labeled Optical Coherence Tomography (OCT) and Chest X-Ray Images for Classification,
  Mendeley Data, 2018.
""",
    ("nih",): """\
* **NIH ChestX-ray8** (NIH Clinical Center). Free with attribution. X. Wang, Y. Peng, L. Lu, Z. Lu, M. Bagheri,
  R. M. Summers: ChestX-ray8: Hospital-scale Chest X-ray Database and Benchmarks, CVPR 2017.
""",
    ("bimcv", "rsna"): """\
* **COVID-19 Radiography Database** (Qatar University, University of Dhaka): BIMCV-COVID19+ and RSNA
  images. For research, with citation. M. E. H. Chowdhury et al.: Can AI Help in Screening Viral and COVID-19
  Pneumonia?, IEEE Access 8, 2020; T. Rahman et al.: Exploring the effect of image enhancement techniques on COVID-19
  detection using chest X-ray images, Computers in Biology and Medicine 132, 2021.
""",
}
"""By the sources that they supply: one item of a Markdown list each."""

"""Ways in which a volume can be broken, which every door that takes one refuses."""

import gzip

import nibabel as nib
import numpy as np

SHAPE = (20, 18, 5)  # x, y, z
AFFINE = np.diag([-1.0, -1.0, 2.0, 1.0])
IMAGE = np.random.default_rng(0).integers(1, 900, SHAPE).astype(np.int16)


def save(path, voxels, affine=AFFINE):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.Nifti1Image(voxels, affine).to_filename(path)


def _bytes(path, place, content):
    voxels = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(voxels[:place] + content + voxels[place + len(content) :]))


def _header(path, place, value):
    _bytes(path, place, np.array([value], "<i2").tobytes())


def _float(path, place, value):
    _bytes(path, place, np.array([value], "<f4").tobytes())


def _affine(path, value):
    for row in (280, 296, 312):
        _bytes(path, row, np.array([value] * 3, "<f4").tobytes())


BROKEN = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:300]),
    "no gzip": lambda path: path.write_bytes(b"GZIP?" * 99),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("not a volume"),
    "GIFTI": lambda path: path.write_text('<?xml version="1.0"?><!DOCTYPE GIFTI><GIFTI Version="1.0"></GIFTI>'),
    "DICOM": lambda path: path.write_bytes(bytes(128) + b"DICM" + bytes(400)),
    "gzip of zeros": lambda path: path.write_bytes(gzip.compress(bytes(400))),
    "gzip of text": lambda path: path.write_bytes(gzip.compress(b"text" * 200)),
    "a third of zeros": lambda path: path.write_bytes(path.read_bytes()[:900] + bytes(900)),
    "4-D": lambda path: save(path, np.stack([IMAGE] * 2, axis=-1)),
    "complex": lambda path: save(path, IMAGE.astype(np.complex64)),
    "two axes": lambda path: save(path, IMAGE[..., 0]),
    "a slice short": lambda path: save(path, IMAGE[..., 1:]),
    "shifted": lambda path: save(path, IMAGE, AFFINE + np.array([[0, 0, 0, 3], *[[0] * 4] * 3])),
    "another spacing": lambda path: save(path, IMAGE, np.diag([-1, -1, 3, 1])),
    "NaN affine": lambda path: _affine(path, np.nan),
    "infinite affine": lambda path: _affine(path, np.inf),
    "singular affine": lambda path: _affine(path, 0.0),
    "negative size": lambda path: _header(path, 42, -20),
    "huge size": lambda path: _header(path, 42, 30000),
    "eight axes": lambda path: _header(path, 40, 9),
    "no axes": lambda path: _header(path, 40, 0),
    "unknown type": lambda path: _header(path, 70, 3333),
    "colours": lambda path: _header(path, 70, 128),
    "far offset": lambda path: _float(path, 108, 1e12),
    "NaN offset": lambda path: _float(path, 108, np.nan),
    "negative offset": lambda path: _float(path, 108, -5.0),
    "no magic": lambda path: _bytes(path, 344, b"xxx\0"),
    "another checksum": lambda path: path.write_bytes(path.read_bytes()[:-8] + bytes(8)),
    "all alike": lambda path: save(path, np.full(SHAPE, 7, np.int16)),
    "no numbers": lambda path: save(path, np.full(SHAPE, np.nan, np.float32)),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}

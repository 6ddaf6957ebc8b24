"""Writes every file of expected values beside this script: python3 make.py [folder]."""

import sys
from pathlib import Path

sys.dont_write_bytecode = True  # the folder is part of the sources

import adapters
import ensembles
import features
import mask_fill
import terms
from case_file import write_cases

FILES = {
    "tpgm.json": ensembles.tpgm_cases,
    "soups.json": ensembles.soup_cases,
    "learned_soup.json": ensembles.learned_soup_cases,
    "output_ensemble.json": ensembles.output_ensemble_cases,
    "carot.json": terms.carot_cases,
    "mask_fill.json": mask_fill.mask_fill_cases,
    "attention_relevance.json": mask_fill.relevance_cases,
    "adapt_former.json": adapters.adapt_former_cases,
    "rep_adapter.json": adapters.rep_adapter_cases,
    "clip_adapter.json": features.clip_adapter_cases,
    "tip_adapter.json": features.tip_adapter_cases,
}

if __name__ == "__main__":
    folder = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent
    for name, cases in FILES.items():
        write_cases(folder, name, cases())

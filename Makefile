# A checkout's tools, in a virtual environment of its own with ROS 2 from PyPI. On a robot: docs/install.md.
PYTHON ?= python3
ARGS   ?=
DATA   ?= $(or $(ANY2ANY_DATA),../shared/data)

VENV := .venv
# A sourced ROS or another environment with ROS wheels must not leak into ours.
ENV  := env -u PYTHONPATH -u LD_LIBRARY_PATH -u AMENT_PREFIX_PATH -u _ROS_WHEELS_BOOTSTRAP_COMPLETE
BIN  := $(ENV) $(VENV)/bin
# Without build isolation setuptools, too, is the pinned one.
pip   = $(ENV) $(1)/bin/python -m pip --disable-pip-version-check install -q --no-build-isolation -c constraints.txt
PIP  := $(call pip,$(VENV))

PACKAGED := setup.py package.xml $(shell find any2any_ros launch config rviz msg srv action interfaces scripts \
                                       -type f -not -name '*.pyc' 2>/dev/null)

.PHONY: help demo demo-objects test bench real soak fuzz kills lint torch colcon docs constraints clean
.DEFAULT_GOAL := help

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

demo: $(VENV)/.package ## drive through a simulated town: `any2any demo`
	@$(BIN)/any2any demo $(ARGS)

demo-objects: $(VENV)/.torch ## learn objects, look at a table, ask for things: `any2any demo objects`
	@$(BIN)/any2any demo objects $(ARGS)

test: $(VENV)/.package ## run the tests by two processes, e.g. make test ARGS="-k fusion"
	@$(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

bench: $(VENV)/.package ## measure this machine, write docs/benchmarks.md; ARGS="--quick" or "--only encoders"
	@$(BIN)/python -m benchmarks.bench $(ARGS)

real: $(VENV)/.package ## measure on real data, write docs/real.md, e.g. make real DATA=FOLDER or ARGS="--only kitti_bev"
	@$(BIN)/python benchmarks/real.py $(DATA) $(ARGS)

soak: $(VENV)/.package ## let faults happen to the real nodes and judge them, e.g. make soak ARGS="--minutes 60 --seed 7"
	@$(BIN)/python -m benchmarks.soak $(ARGS)

fuzz: $(VENV)/.package ## throw wrong inputs at every boundary, e.g. make fuzz ARGS="--minutes 60" or "--replay build/fuzz/FILE"
	@$(BIN)/python -c "import atheris" 2>/dev/null || $(PIP) atheris || echo "atheris does not install here: inputs are not guided"
	@$(BIN)/python scripts/fuzz.py $(ARGS)

kills: $(VENV)/.torch ## kill every writer of files many times, e.g. make kills ARGS="--kills 200"
	@$(BIN)/python scripts/kill_writers.py $(ARGS)

lint: $(VENV)/.dependencies ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/mypy --explicit-package-bases benchmarks/bench.py benchmarks/speed/*.py benchmarks/soak/*.py

torch: $(VENV)/.torch ## add PyTorch and the pretrained encoders and speech to .venv (tests that need them skip otherwise)

colcon: $(if $(AMENT_PREFIX_PATH),,.venv-colcon/.ready) ## build as on a robot, with colcon: the sourced ROS 2, or else PyPI's
	@scripts/colcon.sh

docs: $(VENV)/.package ## write docs/parameters.md from the code
	@$(BIN)/python scripts/parameter_tables.py

constraints: $(VENV)/.dependencies ## pin the newest versions of everything
	@$(PIP) uv
	@mkdir -p build
	@$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.10 --all-extras --no-annotate --no-header \
	    pyproject.toml scripts/colcon-requirements.txt -o build/constraints.txt
	@# Without CUDA's packages: torch pins its own, and a CPU build has none.
	@sed -E -e '1i # The versions that were tested together; `make constraints` writes this file.' \
	    -e '/^(cuda|nvidia|triton)/d' build/constraints.txt > constraints.txt

clean: ## remove everything that was built, the environments too
	rm -rf build *.egg-info $(VENV) .venv-colcon .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@scripts/check_system.sh $(PYTHON)
	@echo "$(VENV): new environment of $$($(PYTHON) --version)"
	@$(ENV) $(PYTHON) -m venv $(VENV)

$(VENV)/.dependencies: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "$(VENV): installing what constraints.txt pins"
	@$(PIP) pip setuptools
	@$(PIP) '.[ros,demo,dev]'
	@touch $@

# A step of its own: messages are compiled against ROS, so ROS must be installed before.
$(VENV)/.package: $(VENV)/.dependencies $(PACKAGED)
	@echo "$(VENV): building and installing any2any_ros"
	@touch $@.begun
	@$(PIP) --no-deps .
	@mv $@.begun $@

$(VENV)/.torch: $(VENV)/.package
	@echo "$(VENV): installing PyTorch"
	@$(PIP) '.[pretrained,speech,text]'
	@touch $@

.venv-colcon/.ready: constraints.txt scripts/colcon-requirements.txt scripts/relocate_ros_wheels.py
	@scripts/check_system.sh $(PYTHON)
	@echo ".venv-colcon: installing colcon, CMake and ROS"
	@$(ENV) $(PYTHON) -m venv --clear .venv-colcon
	@$(call pip,.venv-colcon) pip setuptools
	@$(call pip,.venv-colcon) -r scripts/colcon-requirements.txt
	@$(ENV) .venv-colcon/bin/python scripts/relocate_ros_wheels.py
	@touch $@

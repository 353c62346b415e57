"""python -m protect.cli"""

from protect.cli import main

main()

from edgetrain.remote.main import main

main()

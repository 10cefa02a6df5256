// seedbed-box: `run` makes one box for one command, `serve` makes boxes for a client that holds the
// other end of descriptor 3.
#include <cstring>

#include "sandbox/box/run_options.h"
#include "sandbox/box/serve.h"

int main(int argc, char** argv) {
  namespace box = seedbed::sandbox::box;
  if (argc >= 2 && std::strcmp(argv[1], "run") == 0) return box::run(argc - 2, argv + 2);
  if (argc >= 2 && std::strcmp(argv[1], "serve") == 0) return box::serve();
  return 2;
}

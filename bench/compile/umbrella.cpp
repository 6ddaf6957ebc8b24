/// What `#include <radapt/radapt.hpp>` costs a program that uses nothing of it.
#include <radapt/radapt.hpp>

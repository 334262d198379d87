// Package check holds the tests of deploy/compose.yaml. They load it with the library that `docker
// compose` itself loads files with, so that its syntax is proven where no container engine runs. A
// module of its own: nothing of it belongs to what rootwatch is built from.
package check

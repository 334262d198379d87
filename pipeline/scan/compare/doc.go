// Package compare measures package scan against encoding/json and two fast JSON libraries on the
// same events. It is a module of its own, so that rootwatch itself does not depend on them: both
// rely on unsafe.
//
// Run it on one core of a machine that is quiet, here:
//
//	go test -bench=. -cpu=1 -count=5
//
// Each library reads what the question needs and no more: the kind of event and the identity's
// type. They are not equals: the scanner alone says where it is not sure, and a library may take a
// malformed record for a good one. The last figure of each line says how many percent of malformed
// records were.
package compare

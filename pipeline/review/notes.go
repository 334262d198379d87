package review

import (
	"errors"
	"fmt"
	"io"

	"rootwatch/classify/plain"
	"rootwatch/pipeline/coverage"
)

// maxLeftOut is how many files of each kind that are left out are named: a home folder has
// thousands.
const maxLeftOut = 20

// leftOut names what is not judged and is no error.
func leftOut(notes io.Writer, read coverage.Summary) {
	for _, list := range []struct {
		prefix string
		files  []coverage.Problem
	}{{"left out: ", read.NotCloudTrail}, {"left out: ", read.NotFiles}, {"", read.Mixed}} {
		for i, p := range list.files {
			if i == maxLeftOut {
				fmt.Fprintf(notes, "… and %d more like these\n", len(list.files)-maxLeftOut)
				break
			}
			if p.File == coverage.Stdin {
				p.File = "standard input"
			}
			fmt.Fprintln(notes, plain.Visible(p.File+": "+list.prefix+p.Reason))
		}
	}
}

// notJudged names what could not be read or judged, and is an error if there is any.
func notJudged(notes io.Writer, read coverage.Summary) error {
	for _, p := range read.Problems {
		fmt.Fprintln(notes, plain.Visible(p.String()))
	}
	switch n := len(read.Problems); n {
	case 0:
		return nil
	case 1:
		return errors.New("1 file or folder could not be judged in full; the rest is judged")
	default:
		return fmt.Errorf("%d files or folders could not be judged in full; the rest is judged", n)
	}
}

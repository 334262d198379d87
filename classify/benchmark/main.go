// Command benchmark scores rules for the question "did somebody use the root user?" on records of
// root calls whose answer is labelled: which calls by people a rule misses, which calls by services
// it alerts on, and which scenarios a forged user agent hides from it.
//
//	go run ./classify/benchmark                    the table, as Markdown
//	go run ./classify/benchmark -json              with the ids of the records that a rule gets wrong
//	go run ./classify/benchmark -skip '^evasion-'  without the scenarios of these names
//
// The records and their labels are in the folder scenarios. The benchmark stands alone: only
// rootwatch's own rule needs more than the standard library, and without it the other rules are
// scored all the same.
//
// With ROOTWATCH_CORPUS, a folder of *.jsonl files with lines {"kind","verdict","reason","record"},
// the same rules are scored on those records too.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
)

// corpusVariable names a folder of real records and what they must be judged as.
const corpusVariable = "ROOTWATCH_CORPUS"

// options are what the command line and the environment say.
type options struct {
	json   bool
	skip   *regexp.Regexp // names of scenarios to leave out; nil leaves out none
	corpus string         // a folder; "" for none
}

func main() {
	opts := options{corpus: os.Getenv(corpusVariable)}
	flag.BoolVar(&opts.json, "json", false, "write JSON, with the ids of the records that a rule gets wrong")
	flag.Func("skip", "leave out the scenarios whose names match this `regexp`", func(s string) (err error) {
		opts.skip, err = regexp.Compile(s)
		return err
	})
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "benchmark: unexpected argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	if err := run(os.Stdout, opts); err != nil {
		fmt.Fprintln(os.Stderr, "benchmark:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, opts options) error {
	all, err := scenarios()
	if err != nil {
		return err
	}
	if opts.skip != nil {
		all = slices.DeleteFunc(all, func(s scenario) bool { return opts.skip.MatchString(s.Name) })
	}
	if len(all) == 0 {
		return errors.New("no scenario is left to score")
	}
	answer := report{Scenarios: scoreAll(all)}
	if opts.corpus != "" {
		real, err := readCorpus(opts.corpus)
		if err != nil {
			return err
		}
		scored := scoreAll(real)
		answer.Corpus = &scored
	}
	if opts.json {
		return answer.writeJSON(out)
	}
	return answer.writeTables(out)
}

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	deploy := flag.String("deploy", "deploy", "the folder with prometheus and runbooks")
	metrics := flag.String("metrics", "", "a worker's /metrics, as URL or file, to compare the contract with")
	flag.Parse()
	if err := run(*deploy, *metrics); err != nil {
		fmt.Fprintln(os.Stderr, "checkrules:", err)
		os.Exit(1)
	}
}

// run checks everything and prints what holds; each fault goes to standard error.
func run(deploy, metrics string) error {
	rules, err := readRules(filepath.Join(deploy, "prometheus", "rootwatch.rules.yml"))
	if err != nil {
		return err
	}
	var faults []string
	for _, r := range rules {
		faults = append(faults, checkRule(r)...)
	}
	alerts := alertNames(rules)
	bookFaults, err := checkRunbooks(filepath.Join(deploy, "runbooks"), alerts)
	if err != nil {
		return err
	}
	faults = append(faults, bookFaults...)

	files, err := filepath.Glob(filepath.Join(deploy, "prometheus", "*_test.yml"))
	if err != nil {
		return err
	}
	covered, tests, err := readCoverage(files)
	if err != nil {
		return err
	}
	faults = append(faults, checkCoverage(covered, alerts)...)

	said := fmt.Sprintf("%d rules use the worker's metrics only; %d alerts keep the conventions, have a runbook and fire in one of %d tests",
		len(rules), len(alerts), tests)
	if metrics != "" {
		families, err := readExposition(metrics)
		if err != nil {
			return err
		}
		faults = append(faults, checkLive(families)...)
		said += fmt.Sprintf("; %s has the %d metrics of the contract", metrics, len(contract))
	}
	if len(faults) > 0 {
		for _, f := range faults {
			fmt.Fprintln(os.Stderr, "checkrules:", f)
		}
		return errors.New("the rules do not hold")
	}
	fmt.Println(said)
	return nil
}

// Package kcl runs vmware-go-kcl-v2. The library decides nothing here: its checkpointer tells it
// which leases are held, its Kinesis client is answered by package fetch, and its record processor
// hands on what it is given.
package kcl

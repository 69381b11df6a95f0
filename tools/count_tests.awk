# Prints the passed, failed and skipped tests of a ctest report (--output-junit). A program that ended badly without
# naming a failed test is one failure; one that could not run at all too, unless it asked to be skipped.
/<testcase / {
    ok = bad = skip = asked = 0
    status = $0; sub(/.* status="/, "", status); sub(/".*/, "", status)
}
/<skipped message="SKIP_/ { asked = 1 }
match($0, /\[  PASSED  \] [0-9]+ test/) { split(substr($0, RSTART, RLENGTH), word, " "); ok += word[4] }
/^ *[0-9]+ SKIPPED TEST\(S\)/ { skip += $1 }
/^ *[0-9]+ FAILED TEST\(S\)/ { bad += $1 }
/<\/testcase>/ {
    if (status == "fail" && bad == 0) bad = 1
    if (status == "disabled" || (status == "notrun" && asked && bad == 0)) skip += 1
    else if (status == "notrun" && bad == 0) bad = 1
    else if (ok + bad + skip == 0) ok = 1
    passed += ok; failed += bad; skipped += skip
}
END { print passed + 0, failed + 0, skipped + 0 }

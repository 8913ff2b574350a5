# Completions of kiln for fish: kiln completions fish | source

function __kiln_answer
    set -l words (commandline -opc) (commandline -ct)
    command kiln __complete -- $words[2..-1] 2>/dev/null
end

# the last line says whether files fit
function __kiln_names
    set -l answer (__kiln_answer)
    test (count $answer) -gt 1; and printf '%s\n' $answer[1..-2]
end

function __kiln_takes_files
    set -l answer (__kiln_answer)
    contains -- "$answer[-1]" :files :folders
end

complete -c kiln -f -a '(__kiln_names)'
complete -c kiln -n __kiln_takes_files -F

# Completions of kiln for bash 4.4 and newer: source <(kiln completions bash)

_kiln() {
  local rest=${COMP_LINE:0:COMP_POINT} word words=() i
  # bash splits words at = and : too; what no blank separates is one word
  for ((i = 0; i <= COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if [[ $i = 0 || $rest = [[:blank:]]* ]]; then
      rest=${rest#"${rest%%[![:blank:]]*}"}
      words+=('')
    fi
    [[ $i = "$COMP_CWORD" ]] && word=$rest
    words[-1]+=$word
    rest=${rest#"$word"}
  done
  # quotes are for the shell; nothing is expanded
  local quotes=$'["\'\\\\]' breaks='' begin='' line files=''
  words=("${words[@]//$quotes/}")
  # bash replaces only what stands behind the last of its word breaks
  [[ $COMP_WORDBREAKS = *=* ]] && breaks+='='
  [[ $COMP_WORDBREAKS = *:* ]] && breaks+=':'
  [[ -n $breaks ]] && begin=${words[-1]%"${words[-1]##*[$breaks]}"}
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
      :*) files=$line ;;
      *) line=${line%%$'\t'*} && COMPREPLY+=("${line#"$begin"}") ;;
    esac
  done < <(command kiln __complete -- "${words[@]:1}" 2>/dev/null)
  case $files in
    :files) compopt -o default ;;
    :folders) compopt -o dirnames ;;
  esac
  [[ ${#COMPREPLY[@]} = 1 && ${COMPREPLY[0]} = *= ]] && compopt -o nospace
  return 0
}

complete -F _kiln kiln

#!/usr/bin/env bash
# What action.yml runs. COMMAND, WHERE (folders), CONFIG and EVENT come from the environment, as GitHub's own variables do.
set -euo pipefail
s3img=${S3IMG:-$RUNNER_TEMP/s3img/bin/s3img}
read -r -a folders <<<"${WHERE:-}"
options=()
[ -z "${CONFIG:-}" ] || options+=(--config "$CONFIG")
command=${COMMAND:-auto}
if [ "$command" = auto ]; then
  case "${EVENT:-}" in
    pull_request | pull_request_target) command=plan ;; # a pull request changes nothing
    *) command=apply ;;
  esac
fi

case "$command" in
  plan | apply)
    plan=$RUNNER_TEMP/s3img-plan.json
    code=0
    "$s3img" plan "${options[@]}" --exit-code -- "${folders[@]}" >"$plan" || code=$?
    [ -s "$plan" ] && [ "$code" -le 1 ] || exit "$code" # 1 with a plan: there is something to do
    changed=false
    [ "$code" -eq 0 ] || changed=true
    echo "changed=$changed" >>"$GITHUB_OUTPUT"
    {
      echo "### s3img $command"
      echo '```json'
      head -c 60000 "$plan" # a summary may have 1 MiB
      echo
      echo '```'
    } >>"$GITHUB_STEP_SUMMARY"
    [ "$command" = plan ] || "$s3img" apply "${options[@]}" -- "$plan"
    ;;
  publish)
    "$s3img" publish "${options[@]}" -- "${folders[@]}" | tee -a "$GITHUB_STEP_SUMMARY"
    echo "changed=true" >>"$GITHUB_OUTPUT"
    ;;
  *)
    echo "::error title=s3img::command: write plan, apply, publish or auto."
    exit 2
    ;;
esac

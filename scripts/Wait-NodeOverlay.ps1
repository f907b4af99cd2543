<#
.SYNOPSIS
Waits until flanneld has made its overlay network.
.DESCRIPTION
A running flanneld proves nothing: it may wait for its podCIDR, or for HNS. The network is there when HNS shows it with
a management address and flanneld has written subnet.env. See README.md for the JSON.
.PARAMETER Request
JSON object: network, timeoutSeconds.
.EXAMPLE
powershell.exe -File Wait-NodeOverlay.ps1 -Request '{"network": "flannel.4096", "timeoutSeconds": 300}'
#>
[CmdletBinding()]
param([Parameter(Mandatory = $true)][string]$Request)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$SubnetFile = 'C:\run\flannel\subnet.env'

function Get-Overlay {
    param([string]$Name)
    $found = @(Get-HnsNetwork | Where-Object { $_.Name -eq $Name })
    if ($found.Count -eq 0 -or -not $found[0].ManagementIP) { return $null }
    return $found[0]
}

function Read-Request {
    param([string]$Text, [string[]]$Fields)
    try { $parsed = ConvertFrom-Json -InputObject $Text }
    catch { throw "WN0001 the request is no JSON: $($_.Exception.Message)" }
    foreach ($field in $Fields) {
        if ($null -eq $parsed.PSObject.Properties[$field]) { throw "WN0001 the request lacks the field $field" }
    }
    return $parsed
}

$wanted = Read-Request -Text $Request -Fields @('network', 'timeoutSeconds')
$overlay = $null
for ($second = 0; $second -le $wanted.timeoutSeconds; $second += 2) {
    $overlay = Get-Overlay -Name $wanted.network
    if ($null -ne $overlay -and (Test-Path -Path $SubnetFile)) { break }
    Start-Sleep -Seconds 2
}
if ($null -eq $overlay -or -not (Test-Path -Path $SubnetFile)) {
    $seen = @(Get-HnsNetwork | ForEach-Object { $_.Name }) -join ', '
    throw "WN0601 network $($wanted.network) did not come up in $($wanted.timeoutSeconds) s; HNS has: $seen"
}
$answer = [ordered]@{
    changed = $false
    subnet = $overlay.Subnets[0].AddressPrefix
    managementAddress = $overlay.ManagementIP
}
ConvertTo-Json -InputObject $answer -Compress -Depth 5

<#
.SYNOPSIS
Takes a node's services, containers, networks, rules and files off a host, so that it may join anew.
.DESCRIPTION
Every step looks for what is there and takes a missing part as done; a step that fails does not keep the others from
running. Networks go last, in a task that unregisters itself: the vSwitch cuts every connection. Settings of the machine
stay: page file, power plan, dynamic ports, the Containers feature. See README.md for the JSON.
.PARAMETER Request
JSON object: services, networks, metadataAddresses, exclusions, folders, emptyFolders.
.EXAMPLE
powershell.exe -File Reset-Node.ps1 -Request (Get-Content -Raw -Path reset.json) -WhatIf
#>
[CmdletBinding(SupportsShouldProcess = $true)]
param([Parameter(Mandatory = $true)][string]$Request)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$StartTask = 'bootstrap-network'
$RemovalTask = 'bootstrap-reset'
$HostsFile = 'C:\Windows\System32\drivers\etc\hosts'
$Mark = '# bootstrap'
$Ctr = 'C:\Program Files\containerd\ctr.exe'
$Docker = 'C:\Program Files\docker\docker.exe'
# sc.exe: the service is gone, or goes when the last program lets go of it.
$GoneCodes = @(0, 1060, 1072)

function Remove-Task {
    param([string]$Name)
    if (@(Get-ScheduledTask -TaskName $Name -ErrorAction SilentlyContinue).Count -eq 0) { return $false }
    if ($PSCmdlet.ShouldProcess($Name, 'unregister the task')) {
        Unregister-ScheduledTask -TaskName $Name -Confirm:$false
    }
    return $true
}

function Get-NativeLine {
    param([string]$Program, [string[]]$Arguments)
    # What these programs say beside their output is no error of ours; their exit code is.
    $ErrorActionPreference = 'Continue'
    $lines = @(& $Program @Arguments 2>$null | Where-Object { $_ })
    if ($LASTEXITCODE -ne 0) { throw "$Program $($Arguments -join ' ') ended with $LASTEXITCODE" }
    return $lines
}

function Clear-Containerd {
    $base = @('--namespace', 'k8s.io')
    foreach ($kind in @(@('tasks', '--force'), @('containers', ''), @('images', '--sync'))) {
        $options = @($kind[1] | Where-Object { $_ })
        foreach ($item in @(Get-NativeLine -Program $Ctr -Arguments ($base + @($kind[0], 'list', '--quiet')))) {
            $remove = $base + @($kind[0], 'delete') + $options + @($item)
            Get-NativeLine -Program $Ctr -Arguments $remove | Out-Null
        }
    }
}

function Clear-Docker {
    foreach ($item in @(Get-NativeLine -Program $Docker -Arguments @('ps', '--all', '--quiet'))) {
        Get-NativeLine -Program $Docker -Arguments @('rm', '--force', $item) | Out-Null
    }
    Get-NativeLine -Program $Docker -Arguments @('image', 'prune', '--all', '--force') | Out-Null
}

function Clear-Runtime {
    # The runtime alone can take its containers and the layers of its images apart; files remove neither.
    $changed = $false
    foreach ($runtime in @(@('containerd', $Ctr), @('docker', $Docker))) {
        $service = Get-Service -Name $runtime[0] -ErrorAction SilentlyContinue
        $runs = $null -ne $service -and "$($service.Status)" -eq 'Running'
        if (-not $runs -or -not (Test-Path -Path $runtime[1])) { continue }
        $changed = $true
        if (-not $PSCmdlet.ShouldProcess($runtime[0], 'remove containers and images')) { continue }
        if ($runtime[0] -eq 'docker') { Clear-Docker } else { Clear-Containerd }
    }
    return $changed
}

function Remove-NodeService {
    param([string[]]$Names)
    $changed = $false
    foreach ($name in $Names) {
        $service = Get-Service -Name $name -ErrorAction SilentlyContinue
        if ($null -eq $service) { continue }
        $changed = $true
        if (-not $PSCmdlet.ShouldProcess($name, 'stop and remove the service')) { continue }
        if ("$($service.Status)" -ne 'Stopped') { Stop-Service -Name $name -Force }
        & sc.exe @('delete', $name) | Out-Null
        if ($GoneCodes -notcontains $LASTEXITCODE) { throw "sc delete $name ended with $LASTEXITCODE" }
    }
    return $changed
}

function Remove-Balancer {
    $lists = @(Get-HnsPolicyList | Where-Object { $null -ne $_ })
    if ($lists.Count -eq 0) { return $false }
    if ($PSCmdlet.ShouldProcess("$($lists.Count) load balancers", 'remove')) { $lists | Remove-HnsPolicyList }
    return $true
}

function Remove-Endpoint {
    param([string[]]$Networks)
    $found = @(Get-HnsEndpoint | Where-Object { $null -ne $_ -and $Networks -contains $_.VirtualNetworkName })
    if ($found.Count -eq 0) { return $false }
    if ($PSCmdlet.ShouldProcess("$($found.Count) endpoints", 'remove')) { $found | Remove-HnsEndpoint }
    return $true
}

function Remove-MetadataRoute {
    param([string[]]$Addresses)
    # Those of the vSwitch's adapter are ours; EC2Launch adds its own to the adapter beneath at every start.
    $found = @($Addresses | ForEach-Object { Get-NetRoute -DestinationPrefix "$_/32" -ErrorAction SilentlyContinue } |
            Where-Object { $_.InterfaceAlias -like 'vEthernet*' })
    if ($found.Count -eq 0) { return $false }
    if ($PSCmdlet.ShouldProcess("$($found.Count) routes", 'remove')) { $found | Remove-NetRoute -Confirm:$false }
    return $true
}

function Remove-FirewallRule {
    $found = @(Get-NetFirewallRule -Name 'bootstrap-*' -ErrorAction SilentlyContinue)
    foreach ($rule in $found) {
        if ($PSCmdlet.ShouldProcess($rule.Name, 'remove the rule')) { Remove-NetFirewallRule -Name $rule.Name }
    }
    return $found.Count -gt 0
}

function Remove-Exclusion {
    param([string[]]$Paths)
    if (-not (Get-Command -Name 'Get-MpPreference' -ErrorAction SilentlyContinue)) { return $false }
    $present = @((Get-MpPreference).ExclusionPath)
    $ours = @($Paths | Where-Object { $present -contains $_ })
    if ($ours.Count -eq 0) { return $false }
    if ($PSCmdlet.ShouldProcess('Defender', "scan $($ours -join ', ')")) { Remove-MpPreference -ExclusionPath $ours }
    return $true
}

function Remove-HostsEntry {
    if (-not (Test-Path -Path $HostsFile)) { return $false }
    $lines = @(Get-Content -Path $HostsFile)
    $foreign = @($lines | Where-Object { $_ -notlike "*$Mark" })
    if ($lines.Count -eq $foreign.Count) { return $false }
    if ($PSCmdlet.ShouldProcess($HostsFile, 'write')) { Set-Content -Path $HostsFile -Value $foreign -Encoding Ascii }
    return $true
}

function Remove-Folder {
    param([string[]]$Paths, [string[]]$IfEmpty)
    $found = @($Paths | Where-Object { Test-Path -Path $_ })
    foreach ($path in $found) {
        if ($PSCmdlet.ShouldProcess($path, 'remove')) { Remove-Item -Path $path -Recurse -Force }
    }
    foreach ($path in $IfEmpty) {
        if (-not (Test-Path -Path $path) -or @(Get-ChildItem -Path $path -Force).Count -gt 0) { continue }
        if ($PSCmdlet.ShouldProcess($path, 'remove the empty folder')) { Remove-Item -Path $path -Force }
    }
    return $found.Count -gt 0
}

function Get-NodeNetwork {
    param([string[]]$Names)
    return @(Get-HnsNetwork | Where-Object { $null -ne $_ -and $Names -contains $_.Name })
}

function Start-NetworkRemoval {
    param([string[]]$Names)
    if (@(Get-NodeNetwork -Names $Names).Count -eq 0) { return Remove-Task -Name $RemovalTask }
    $known = @(Get-ScheduledTask -TaskName $RemovalTask -ErrorAction SilentlyContinue)
    if (@($known | Where-Object { "$($_.State)" -eq 'Running' }).Count -gt 0) { return $true }
    if (-not $PSCmdlet.ShouldProcess($Names -join ', ', 'remove the networks in a task')) { return $true }
    $list = @($Names | ForEach-Object { "'$_'" }) -join ','
    # The session that starts this task gets its answer before the connection is cut.
    $command = "Start-Sleep -Seconds 2; foreach (`$name in @($list)) { Get-HnsNetwork | " +
        "Where-Object { `$_.Name -eq `$name } | Remove-HnsNetwork }; " +
        "Unregister-ScheduledTask -TaskName '$RemovalTask' -Confirm:`$false"
    $action = New-ScheduledTaskAction -Execute 'powershell.exe' -Argument "-NoProfile -Command ""$command"""
    $principal = New-ScheduledTaskPrincipal -UserId 'SYSTEM' -RunLevel Highest
    Register-ScheduledTask -TaskName $RemovalTask -Action $action -Principal $principal -Force | Out-Null
    Start-ScheduledTask -TaskName $RemovalTask
    return $true
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

$fields = @('services', 'networks', 'metadataAddresses', 'exclusions', 'folders', 'emptyFolders')
$wanted = Read-Request -Text $Request -Fields $fields
$services = @($wanted.services)
$users = @($services | Where-Object { @('containerd', 'docker') -notcontains $_ })
$runtimes = @($services | Where-Object { @('containerd', 'docker') -contains $_ })
$networks = @($wanted.networks)
# Who uses a thing goes before it: a kubelet that runs would make its pods anew.
$steps = [ordered]@{
    task = { Remove-Task -Name $StartTask }
    services = { Remove-NodeService -Names $users }
    containers = { Clear-Runtime }
    runtimes = { Remove-NodeService -Names $runtimes }
    loadBalancers = { Remove-Balancer }
    endpoints = { Remove-Endpoint -Networks $networks }
    routes = { Remove-MetadataRoute -Addresses @($wanted.metadataAddresses) }
    firewall = { Remove-FirewallRule }
    exclusions = { Remove-Exclusion -Paths @($wanted.exclusions) }
    hosts = { Remove-HostsEntry }
    folders = { Remove-Folder -Paths @($wanted.folders) -IfEmpty @($wanted.emptyFolders) }
    networks = { Start-NetworkRemoval -Names $networks }
}
$changes = @()
$failures = @()
foreach ($step in $steps.Keys) {
    try { if (& $steps[$step]) { $changes += $step } }
    catch { $failures += "${step}: $($_.Exception.Message)" }
}
if ($failures.Count -gt 0) { throw "WN0901 the host is not reset: $($failures -join '; ')" }
$answer = [ordered]@{
    changed = $changes.Count -gt 0
    pending = @(Get-NodeNetwork -Names $networks).Count -gt 0
    steps = $changes
}
ConvertTo-Json -InputObject $answer -Compress -Depth 3
